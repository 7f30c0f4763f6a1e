"""Signed heads of trails: who signs, when, and what is posted where."""

import json
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from config import env
from governance import audit, checkpoints, signing, tasks
from governance.canonical import canonical_json, digest
from governance.models import AuditEvent, Checkpoint, Trail
from governance.verbs import Verb
from tests.factories.governance import CommunityFactory, MembershipFactory, PollFactory
from tests.governance.threads import at_once


def act(community):
    """Let something happen, so that the trail grows."""
    with transaction.atomic():
        audit.record(
            community_id=community.pk,
            actor=None,
            verb=Verb.COMMUNITY_CHANGED,
            subject=community,
            data={},
        )


@pytest.fixture
def community(db):
    community = CommunityFactory()
    act(community)
    return community


@pytest.fixture
def key_file(settings, tmp_path):
    """A place for a key, where nothing is yet."""
    settings.SIGNING_KEY_FILE = tmp_path / "secrets" / "key.pem"
    return settings.SIGNING_KEY_FILE


def sign(community):
    return checkpoints.sign_checkpoint(community_id=community.pk)


def holds(checkpoint):
    """Check a signature as a stranger would."""
    said = canonical_json(checkpoints.record(checkpoint)["checkpoint"])
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(checkpoint.public_key))
    public.verify(bytes.fromhex(checkpoint.signature), said)
    return True


# --- the key --------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_is_its_owners_alone(key_file):
    public = signing.public_key()
    content = key_file.read_bytes()

    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == ["key.pem"]
    signing._key.cache_clear()
    assert signing.public_key() == public
    assert key_file.read_bytes() == content


def test_the_key_is_the_same_for_processes_that_make_it_at_once(key_file):
    def first_use(_):
        return signing._key.__wrapped__(key_file).public_key().public_bytes_raw()

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(first_use, range(64)))) == 1
    assert [path.name for path in key_file.parent.iterdir()] == ["key.pem"]


@pytest.mark.parametrize("content", ["", "hello", "-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(key_file, content):
    key_file.parent.mkdir()
    key_file.write_text(content)

    with pytest.raises(ImproperlyConfigured, match="does not hold an Ed25519 key"):
        signing.public_key()
    assert key_file.read_text() == content


def test_a_key_that_cannot_be_made_is_refused_with_a_sentence(settings, tmp_path):
    (tmp_path / "file").touch()
    settings.SIGNING_KEY_FILE = tmp_path / "file" / "key.pem"

    with pytest.raises(ImproperlyConfigured, match="can be neither read nor made"):
        signing.public_key()
    with pytest.raises(CommandError, match="can be neither read nor made"):
        call_command("signing_key")


def test_signing_key_shows_the_public_half_alone(key_file, capsys):
    call_command("signing_key")
    shown = capsys.readouterr()

    assert shown.out.strip() == signing.public_key()
    assert str(key_file) in shown.err
    assert "PRIVATE" not in shown.out + shown.err


# --- sign_checkpoint ------------------------------------------------------------------------------


def test_sign_checkpoint_announces_the_key_and_signs_the_head(community):
    checkpoint = sign(community)
    trail = Trail.objects.get(community=community)
    last = AuditEvent.objects.get(community=community, seq=trail.length)

    assert (
        (checkpoint.length, checkpoint.head) == (trail.length, trail.head) == (2, last.event_hash)
    )
    assert (last.verb, last.data) == ("key.announced", {"public_key": signing.public_key()})
    assert checkpoint.public_key == signing.public_key()
    assert holds(checkpoint)


def test_sign_checkpoint_does_nothing_where_the_head_has_not_moved(community):
    sign(community)

    assert sign(community) is None
    assert sign(CommunityFactory()) is None
    assert Checkpoint.objects.count() == 1
    assert AuditEvent.objects.count() == 2


def test_sign_checkpoint_announces_a_key_only_when_it_is_new(community, settings, tmp_path):
    sign(community)
    act(community)
    second = sign(community)
    settings.SIGNING_KEY_FILE = tmp_path / "another.pem"
    act(community)
    third = sign(community)

    announced = AuditEvent.objects.filter(verb="key.announced").order_by("seq")
    assert [event.seq for event in announced] == [2, 5]
    assert (second.length, third.length) == (3, 5)
    assert second.public_key != third.public_key == signing.public_key()
    assert holds(second)
    assert holds(third)


def test_a_signature_covers_all_that_it_says(community):
    checkpoint = sign(community)
    checkpoint.length += 1

    with pytest.raises(InvalidSignature):
        holds(checkpoint)


@pytest.mark.parametrize("change", ["head = repeat('0', 64)", "length = 9", "signature = ''"])
def test_the_database_refuses_to_change_a_checkpoint(community, change):
    sign(community)

    with (
        pytest.raises(IntegrityError, match="never changed or deleted"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE governance_checkpoint SET {change}")
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        Checkpoint.objects.all()._raw_delete("default")


def test_each_checkpoint_signs_its_number_and_the_one_before(community):
    first = sign(community)
    act(community)
    second = sign(community)
    said = [checkpoints.record(each)["checkpoint"] for each in (first, second)]

    assert [each["schema"] for each in said] == ["folkmoot.checkpoint/2"] * 2
    assert [each["number"] for each in said] == [1, 2]
    assert [each["previous"] for each in said] == ["0" * 64, digest(said[0])]
    assert holds(second)


def test_checkpoints_from_before_the_chain_stay_valid_and_count(community):
    trail = Trail.objects.get(community=community)
    said = {
        "schema": "folkmoot.checkpoint/1",
        "community": community.slug,
        "length": trail.length,
        "head": trail.head,
        "at": "2026-01-01T00:00:00.000000Z",
    }
    old = Checkpoint.objects.create(
        community=community,
        **{key: said[key] for key in ("length", "head", "at")},
        public_key=signing.public_key(),
        signature=signing.sign(canonical_json(said)),
    )
    act(community)
    new = sign(community)

    assert checkpoints.record(old)["checkpoint"] == said
    assert holds(old)
    assert (new.number, new.previous) == (2, digest(said))
    assert holds(new)


@pytest.mark.parametrize("number", [1, 2])
def test_the_database_takes_no_two_checkpoints_of_one_number(community, number):
    sign(community)
    act(community)
    sign(community)

    with pytest.raises(IntegrityError, match="checkpoint_numbered_once"), transaction.atomic():
        Checkpoint.objects.create(community=community, number=number, length=99)


@pytest.mark.django_db(transaction=True)
def test_sign_checkpoint_signs_a_head_once_however_many_ask(transactional_db):
    community = CommunityFactory()
    act(community)

    made = at_once(*[lambda: sign(community) is not None] * 4)

    assert sorted(made) == [False, False, False, True]
    assert Checkpoint.objects.count() == 1


# --- when -----------------------------------------------------------------------------------------


def test_sign_trails_signs_what_has_moved(community):
    still, empty = CommunityFactory(), CommunityFactory()
    act(still)
    sign(still)
    tasks.sign_trails()

    assert list(checkpoints.moved()) == []
    assert community.checkpoints.count() == 1
    assert still.checkpoints.count() == 1
    assert empty.checkpoints.count() == 0


def test_sign_trails_goes_on_where_one_trail_fails(community, monkeypatch, caplog):
    other = CommunityFactory()
    act(other)
    record = audit.record

    def fails(**given):
        if given["community_id"] == community.pk:
            raise OSError
        return record(**given)

    monkeypatch.setattr(audit, "record", fails)
    tasks.sign_trails()

    assert [each.community for each in Checkpoint.objects.all()] == [other]
    assert f"community {community.pk}: the head of its trail was not signed" in caplog.text


def test_turn_due_polls_signs_the_head_after_closing(db):
    member = MembershipFactory(steward=True)
    poll = PollFactory(community=member.community, due=True, electors=[member.user])
    tasks.turn_due_polls()
    poll.refresh_from_db()
    trail = Trail.objects.get(community=poll.community)

    assert poll.status == "closed"
    assert poll.community.checkpoints.get().head == trail.head


# --- posted elsewhere -----------------------------------------------------------------------------


class Webhook:
    """A server on this machine that keeps what is posted to it, and answers as it is told."""

    def __init__(self, status=200, headers=()):
        self.status, self.headers, self.taken = status, dict(headers), []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webhook.taken.append((self.path, self.headers["Content-Type"], body))
                self.send_response(webhook.status)
                for name, value in webhook.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/heads?token=secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def webhook(settings):
    """Return a function that starts a webhook and adds it to the setting."""
    made = []
    settings.CHECKPOINT_WEBHOOKS = []

    def start(**given):
        made.append(Webhook(**given))
        settings.CHECKPOINT_WEBHOOKS.append(made[-1].url)
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_post_checkpoints_posts_what_is_exported(community, webhook):
    taker = webhook()
    checkpoint = sign(community)
    tasks.post_checkpoints()
    checkpoint.refresh_from_db()

    assert taker.taken == [
        ("/heads?token=secret", "application/json", canonical_json(checkpoints.record(checkpoint)))
    ]
    assert json.loads(taker.taken[0][2])["checkpoint"]["head"] == checkpoint.head
    assert checkpoint.posted_at is not None


def test_post_checkpoints_posts_once(community, webhook):
    taker = webhook()
    sign(community)

    assert [checkpoints.post_checkpoints() for _ in range(2)] == [1, 0]
    assert len(taker.taken) == 1


def test_post_checkpoints_posts_the_latest_of_each_community(community, webhook):
    taker = webhook()
    other = CommunityFactory()
    act(other)
    older = sign(community)
    act(community)
    newer, others = sign(community), sign(other)
    checkpoints.post_checkpoints()

    posted = [json.loads(body)["checkpoint"]["head"] for _, _, body in taker.taken]
    assert posted == [newer.head, others.head]
    older.refresh_from_db()
    assert older.posted_at is None


@pytest.mark.parametrize("status", [404, 500])
def test_post_checkpoints_tries_again_what_was_not_taken(community, webhook, caplog, status):
    taker = webhook(status=status)
    checkpoint = sign(community)

    assert checkpoints.post_checkpoints() == 0
    assert "webhook 1 did not take a checkpoint" in caplog.text
    assert "secret" not in caplog.text
    taker.status = 204
    assert checkpoints.post_checkpoints() == 1
    checkpoint.refresh_from_db()
    assert checkpoint.posted_at is not None
    assert len(taker.taken) == 2


def test_post_checkpoints_follows_no_redirect(community, webhook):
    elsewhere = webhook()
    taker = webhook(status=307, headers={"Location": elsewhere.url})
    sign(community)

    assert checkpoints.post_checkpoints() == 0
    assert (len(taker.taken), len(elsewhere.taken)) == (1, 1)  # its own, and no second


def test_post_checkpoints_leaves_a_failing_webhook_alone_and_serves_the_others(
    community, webhook, settings
):
    failing, taker = webhook(status=500), webhook()
    settings.CHECKPOINT_WEBHOOKS.append("http://127.0.0.1:9/")  # nobody listens there
    other = CommunityFactory()
    act(other)
    sign(community)
    sign(other)

    assert checkpoints.post_checkpoints() == 0
    assert (len(failing.taken), len(taker.taken)) == (1, 2)


def test_post_checkpoints_waits_for_no_webhook_longer_than_its_time(
    community, webhook, settings, monkeypatch
):
    monkeypatch.setattr(checkpoints, "SECONDS_FOR_A_POST", 0.2)
    taker = webhook()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings.CHECKPOINT_WEBHOOKS.insert(0, f"http://127.0.0.1:{mute.getsockname()[1]}/")
        sign(community)

        assert checkpoints.post_checkpoints() == 0
    assert len(taker.taken) == 1


def test_post_checkpoints_asks_nobody_where_no_webhook_is_set(
    community, settings, django_assert_num_queries
):
    settings.CHECKPOINT_WEBHOOKS = []
    sign(community)

    with django_assert_num_queries(0):
        assert checkpoints.post_checkpoints() == 0


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("https://heads.example/new", True),
        ("http://127.0.0.1:8080/", True),
        ("http://localhost/", True),
        ("http://[::1]/", True),
        ("https://a.example/, https://b.example/", True),
        ("", True),
        ("http://heads.example/", False),
        ("http://10.0.0.1/", False),
        ("http://127.0.0.1.example/", False),
        ("file:///etc/passwd", False),
        ("ftp://127.0.0.1/", False),
        ("https://", False),
        ("https://a.example:nine/", False),
        ("heads.example", False),
    ],
)
def test_webhooks_are_https_or_on_this_machine(monkeypatch, value, right):
    monkeypatch.setenv("CHECKPOINT_WEBHOOKS", value)
    if right:
        assert len(env.addresses("CHECKPOINT_WEBHOOKS", [])) == value.count("://")
    else:
        with pytest.raises(ImproperlyConfigured, match="takes https addresses"):
            env.addresses("CHECKPOINT_WEBHOOKS", [])
