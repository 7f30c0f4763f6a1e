"""Pages under every light: what the accessibility tests and `screens` have in common."""

from collections.abc import Iterator

from playwright.sync_api import Page

WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")
HEIGHTS = {390: 844, 1280: 900}


def lights(page: Page) -> Iterator[tuple[int, str]]:
    """Show the page that is open in each width and each colour scheme."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            yield width, scheme


def settle(page: Page) -> None:
    """Wait until what the page fetches is there; a page that asks again and again may go on."""
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready.then(() => true)")
