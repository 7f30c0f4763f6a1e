"""Everyone can follow every link: no page of a populated community leads nowhere or breaks."""

import re
from collections import deque
from html import unescape
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from django.test import Client

from governance import membership
from tests.factories.governance import UserFactory
from tests.factories.populated import begin, populate
from tests.factories.training_jobs import RunFactory, TurnFactory

MOST_PAGES = 400
_LINK = re.compile(r"<a\b[^>]*\shref=\"([^\"]*)\"", re.IGNORECASE)
_FETCH = re.compile(r"\shx-get=\"([^\"]*)\"", re.IGNORECASE)
_ID = re.compile(r"\sid=\"([^\"]+)\"")
_FORM = re.compile(r"<form\b[^>]*\saction=\"([^\"]*)\"", re.IGNORECASE)
OTHERS = ("/api/",)  # pages that are not ours
SKIPPED = ("/admin/", "/static/", "/accounts/")
READERS = ["visitor", "stranger", "newcomer", "member", "moderator", "steward"]


@pytest.fixture
def client_of(settings, db):
    """Return a client for each kind of reader, of a community that went round the loop."""
    populated = populate(settings)
    community, steward = populated.community, populated.steward
    RunFactory(community=community, running=True, recipe="dpo", step=1, total=9)
    RunFactory(
        community=community,
        status="failed",
        error="Out of memory.",
        finished_at=populated.open_poll.opened_at,
    )
    TurnFactory(release=populated.release, user=steward)
    begin(slug="a-new-one")
    place = populated.people[3].memberships.get(community=community)
    membership.change_role(membership_id=place.pk, actor=steward, role="moderator")
    newcomer = UserFactory()
    membership.join(community_id=community.pk, actor=newcomer)
    people = {
        "stranger": UserFactory(),
        "newcomer": newcomer,
        "member": populated.people[1],
        "moderator": populated.people[3],
        "steward": steward,
    }

    def client(reader):
        found = Client(raise_request_exception=False)
        if reader in people:
            found.force_login(people[reader])
        return found

    return client


@pytest.mark.parametrize("reader", READERS)
def test_every_link_leads_to_a_page(client_of, reader):
    client = client_of(reader)
    queue = deque([("/", "the start")])
    seen, broken, pages = {"/"}, [], {}
    while queue:
        assert len(seen) < MOST_PAGES, "the site has no end of pages"
        url, came_from = queue.popleft()
        response = client.get(url)
        if response.status_code >= 400:
            broken.append(f"{response.status_code} {url} from {came_from}")
        target = response.headers.get("Location", "")
        text = content(response)
        if "<html" in text and not url.startswith(OTHERS):
            pages[url] = text
        links = _LINK.findall(text) + _FETCH.findall(text)
        for link in filter(None, [target, *links]):
            address, _ = urldefrag(urljoin(url, unescape(link)))
            parts = urlsplit(address)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            if parts.scheme or parts.netloc or path.startswith(SKIPPED) or path in seen:
                continue
            seen.add(path)
            queue.append((path, url))

    assert broken == []
    assert len(pages) > 20
    assert _dead_anchors(pages) == []
    assert [url for url, text in pages.items() if text.count("<h1") != 1] == []


@pytest.mark.parametrize("reader", READERS)
def test_no_form_breaks_when_it_is_sent_empty(client_of, reader):
    client = client_of(reader)
    start = "/c/the-library/"
    forms = {}
    for url in [start, *_links(client, start)]:
        for action in _FORM.findall(content(client.get(url))):
            forms.setdefault(urljoin(url, unescape(action)) or url, url)

    broken = []
    for action in sorted(forms):
        if not action.startswith(SKIPPED):
            response = client.post(action)
            if response.status_code >= 500:
                broken.append(f"{response.status_code} {action}")
    assert broken == []


def _links(client, url):
    links = _LINK.findall(content(client.get(url)))
    found = {urldefrag(urljoin(url, unescape(link)))[0] for link in links}
    return sorted(link for link in found if link.startswith("/") and not link.startswith(SKIPPED))


def content(response):
    """Return a page's text; a file is read to its end, which closes it."""
    if response.streaming:
        deque(response.streaming_content, maxlen=0)
        return ""
    return response.content.decode(errors="replace")


def _dead_anchors(pages):
    """Return links to a place on a page that does not have it."""
    dead = []
    for url, text in pages.items():
        for link in _LINK.findall(text):
            address, place = urldefrag(urljoin(url, unescape(link)))
            target = pages.get(address)
            if place and target is not None and place not in _ID.findall(target):
                dead.append(f"{link} on {url}")
    return dead
