"""The real site, and people who sit before browsers."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Response,
    expect,
)

from tests.browser.live import Site, chromium_launch, running_site

PASSWORD = "correct horse battery staple"
PATIENCE = 30_000  # milliseconds until something has to be there
SERVER_ERROR = 500

expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Run the site on services of its own, with a tiny model as its base."""
    # The test settings put the broker's address aside, since Celery prefers the variable.
    given = {
        "DATABASE_URL": os.environ.get("DATABASE_URL", ""),
        "CELERY_BROKER_URL": settings.BROKER_URL_FOR_WORKERS,
    }
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    with running_site(given, name=f"browser{worker}") as running:
        running.seed("base")
        yield running


@pytest.fixture(scope="session")
def populated(site: Site) -> dict[str, Any]:
    """A community that has gone round the whole loop."""
    return site.seed("populated", slug="reading-room")


@pytest.fixture(scope="session")
def trainable(site: Site) -> dict[str, Any]:
    """A community that can train at once."""
    return site.seed("trainable", slug="night-shift")


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return chromium_launch()


@dataclass
class Person:
    """Somebody before a browser of their own, and what went wrong in it.

    Attributes:
        page: what they see.
        site: where they are.
        wrong: errors in the console, on the page, and from the server.
        is_examined: whether a tool works in the page, which breaks the policy by itself.
    """

    page: Page
    site: Site
    wrong: list[str] = field(default_factory=list)
    is_examined: bool = False

    def __post_init__(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.wrong.append(f"page error: {error}"))
        self.page.on("response", self._look)
        self.page.set_default_timeout(PATIENCE)

    def goes(self, path: str) -> None:
        """Open a page by its path."""
        self.page.goto(self.site.address + path)

    def clicks(self, name: str, *, role: Any = "link") -> None:
        """Click the first of what has exactly that name."""
        self.page.get_by_role(role, name=name, exact=True).first.click()

    def presses(self, name: str) -> None:
        """Press the button of that name."""
        self.clicks(name, role="button")

    def fills(self, fields: dict[str, str]) -> None:
        """Fill fields by the beginnings of their labels."""
        for label, value in fields.items():
            self.page.get_by_label(re.compile(rf"^\s*{re.escape(label)}")).first.fill(value)

    def opens(self, summary: str) -> None:
        """Unfold what is folded under these words."""
        self.page.locator("summary", has_text=summary).first.click()

    def sees(self, words: str) -> None:
        """Wait until the page's main part has these words."""
        expect(self.page.locator("body")).to_contain_text(words)

    def signs_in(self, email: str) -> None:
        """Sign in by the form."""
        self.goes("/accounts/login/")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.presses("Sign in")
        expect(self.page).not_to_have_url(re.compile("login"))

    def signs_up(self, name: str, email: str) -> None:
        """Sign up by the form."""
        self.goes("/")
        self.clicks("Sign up")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_label("Password (again)").fill(PASSWORD)
        self.presses("Sign up")
        expect(self.page).not_to_have_url(re.compile("signup"))

    def _hear(self, message: ConsoleMessage) -> None:
        refused = "422" in message.text or "404" in message.text
        if message.type in {"error", "warning"} and not refused and not self.is_examined:
            self.wrong.append(f"console: {message.text} ({self.page.url})")

    def _look(self, response: Response) -> None:
        if response.status >= SERVER_ERROR:
            self.wrong.append(f"{response.status} from {response.url}")


EVERYONE = pytest.StashKey[list[Person]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Say with a failure what everyone saw."""
    report = yield
    if report.when == "call" and report.failed:
        for one in item.stash.get(EVERYONE, []):
            with contextlib.suppress(Error):
                words = one.page.locator("body").inner_text(timeout=2000)
                report.sections.append((f"seen at {one.page.url}", words[:3000]))
    return report


@pytest.fixture
def person(request, site: Site, browser: Browser) -> Iterator[Callable[..., Person]]:
    """Give people, each with a browser context of their own; nothing may go wrong in any."""
    contexts: list[BrowserContext] = []
    everyone = request.node.stash[EVERYONE] = []

    def make(email: str = "", **options: Any) -> Person:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        made = Person(context.new_page(), site)
        everyone.append(made)
        if email:
            made.signs_in(email)
        return made

    yield make
    for context in contexts:
        context.close()
    assert [what for made in everyone for what in made.wrong] == []
