"""Pictures of every page, at two widths and in two lights: `python -m tests.browser.screens`.

Without ADDRESS it runs a site of its own and populates it. With ADDRESS=http://… it looks at that
site, following its links: as a visitor, or as the member whom EMAIL and PASSWORD name. PNGs go to
var/screens/, or to the folder that the first argument names.
"""

import os
import re
import shutil
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

from playwright.sync_api import Browser, Error, Page, sync_playwright

from config.supervisor import ROOT, say
from tests.browser.live import chromium_launch, running_site
from tests.browser.walk import HEIGHTS, WIDTHS, lights, settle

PASSWORD = "correct horse battery staple"
MOST_PAGES = 80
EACH_KIND = 2
# Addresses that are files, leave the site, or sign the visitor out.
SKIPPED = re.compile(r"/(admin|logout|schema|static)/|\.(zip|py|parquet|json|md)$|export")


def main(arguments: list[str]) -> None:
    """Take all pictures and say where they are."""
    folder = Path(arguments[0]) if arguments else ROOT / "var" / "screens"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium_launch())
        address = os.environ.get("ADDRESS", "").strip().rstrip("/")
        taken = of_running(browser, folder, address) if address else of_own(browser, folder)
        browser.close()
    say(f"{taken} pictures are in {folder}.")


def of_own(browser: Browser, folder: Path) -> int:
    """Run a site, populate it, and take pictures of each page as the person whom it is for."""
    with running_site(os.environ, name="screens") as site:
        site.seed("base")
        taken = 0
        for step, slug in (("populated", "reading-room"), ("polls", "tea-house")):
            made = site.seed(step, slug=slug)
            pages: dict[str, Page] = {}
            for name, path, who in made["pages"]:
                if who not in pages:
                    email = made[who] if who else ""
                    pages[who] = visitor(browser, site.address, email, PASSWORD)
                pages[who].goto(site.address + path)
                taken += shoot(pages[who], folder, name)
        return taken


def of_running(browser: Browser, folder: Path, address: str) -> int:
    """Follow the links of a running site, a few pages of each kind."""
    page = visitor(browser, address, os.environ.get("EMAIL", ""), os.environ.get("PASSWORD", ""))
    taken = 0
    for found in walk(page, address):
        name = re.sub(r"\W+", "-", urlsplit(found).path + urlsplit(found).query).strip("-")
        taken += shoot(page, folder, name or "home")
    return taken


def walk(page: Page, address: str) -> Iterator[str]:
    """Open pages one after the other, the nearest first, and yield each one's address."""
    waiting, seen, kinds = deque([f"{address}/"]), {f"{address}/"}, dict[str, int]()
    opened = 0
    while waiting and opened < MOST_PAGES:
        found = waiting.popleft()
        kind = re.sub(r"\d+|[0-9a-f]{12,}", "0", urlsplit(found).path)
        if kinds.get(kind, 0) >= EACH_KIND:
            continue
        try:
            page.goto(found)
        except Error as error:
            say(f"{found} could not be opened: {error.message.splitlines()[0]}")
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        opened += 1
        yield found
        links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
        for link in (urldefrag(urljoin(found, link)).url for link in links):
            if link.startswith(f"{address}/") and link not in seen and not SKIPPED.search(link):
                seen.add(link)
                waiting.append(link)


def visitor(browser: Browser, address: str, email: str, password: str) -> Page:
    """Give a browser in which that person is signed in, or nobody."""
    page = browser.new_context(viewport={"width": WIDTHS[-1], "height": 900}).new_page()
    if email:
        page.goto(f"{address}/accounts/login/")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "login" not in url)
    return page


def shoot(page: Page, folder: Path, name: str) -> int:
    """Take the picture of the page that is open, in every light."""
    settle(page)
    taken = 0
    for width, scheme in lights(page):
        page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
        taken += 1
    page.set_viewport_size({"width": WIDTHS[-1], "height": HEIGHTS[WIDTHS[-1]]})
    return taken


if __name__ == "__main__":
    main(sys.argv[1:])
