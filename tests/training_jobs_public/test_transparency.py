"""The export, its downloads, and verification on the site."""

import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.cache import cache
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from feedback import review
from feedback.models import Comparison, Prompt
from governance import audit, checker, checkpoints, membership, polling, signing
from governance.canonical import file_digest
from governance.errors import BadInput, InvalidTransition
from governance.models import Checkpoint, Trail
from governance.rules import Rule
from governance.verbs import Verb
from tests.factories.feedback import ReviewItemFactory
from tests.factories.governance import CommunityFactory, MembershipFactory, UserFactory
from tests.factories.populated import ask, begin
from tests.factories.principles import VersionFactory
from tests.governance.threads import at_once
from training_jobs import public_views, registry, transparency

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()


@pytest.fixture
def folder(tmp_path):
    """Where an export goes: a folder that is not there yet."""
    return tmp_path / "export"


def export(community, folder):
    return transparency.write_export(community_id=community.pk, directory=folder)


def change(community):
    """Let something happen, so that the trail grows."""
    audit.record(
        community_id=community.pk,
        actor=None,
        verb=Verb.COMMUNITY_CHANGED,
        subject=community,
        data={},
    )


def unzipped(response, folder):
    content = b"".join(response.streaming_content)
    zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
    return folder


# --- write_export ---------------------------------------------------------------------------------


def test_write_export_tells_what_it_wrote(populated, folder):
    written = export(populated.community, folder)
    trail = Trail.objects.get(community=populated.community)

    assert written["head"] == trail.head
    assert written["length"] == trail.length
    assert (written["polls"], written["versions"]) == (6, 2)
    assert (written["datasets"], written["models"]) == (2, 2)
    assert written["files"] == len([p for p in folder.rglob("*") if p.is_file()])


def test_write_export_names_versions_models_and_datasets_by_the_digest_of_their_bytes(
    populated, folder
):
    export(populated.community, folder)

    assert file_digest(folder / "versions/2.json") == populated.version.digest
    for model in (populated.model, populated.base):
        assert file_digest(folder / f"models/{model.digest}.json") == model.digest
    for dataset in (populated.training, populated.heldout):
        files = folder / "datasets" / dataset.digest
        assert {p.name: file_digest(p) for p in files.iterdir()} == dataset.listing


def test_write_export_twice_gives_the_same_bytes(populated, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    export(populated.community, one)
    export(populated.community, two)

    for path in one.rglob("*.json*"):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()


def test_write_export_holds_no_names_and_no_addresses(populated, folder):
    export(populated.community, folder)
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())

    for person in populated.people:
        assert person.email.encode() not in everything
        assert person.name.encode() not in everything
    assert populated.release.poll.voter_salt.encode() not in everything


def test_write_export_leaves_out_open_polls_and_other_communities(populated, folder):
    begin(slug="elsewhere")
    export(populated.community, folder)

    assert not (folder / f"polls/{populated.open_poll.pk}.json").exists()
    assert b"elsewhere" not in (folder / "trail.jsonl").read_bytes()


def test_write_export_lists_dataset_files_where_asked_or_where_they_are_gone(populated, tmp_path):
    transparency.write_export(
        community_id=populated.community.pk, directory=tmp_path / "asked", dataset_files=False
    )
    storages["artifacts"].delete(f"{populated.training.storage_key}/README.md")
    export(populated.community, tmp_path / "gone")

    for name, datasets in (
        ("asked", [populated.training, populated.heldout]),
        ("gone", [populated.training]),
    ):
        for dataset in datasets:
            folder = tmp_path / name / "datasets" / dataset.digest
            assert [path.name for path in folder.iterdir()] == ["listing.json"]
            assert json.loads((folder / "listing.json").read_bytes()) == {"files": dataset.listing}
    assert len(list((tmp_path / "gone/datasets" / populated.heldout.digest).iterdir())) > 1


def test_write_export_refuses_a_folder_that_holds_something(populated, folder):
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")

    with pytest.raises(BadInput, match="not empty"):
        export(populated.community, folder)

    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_write_export_of_a_new_community_holds(folder, run_checker):
    community, _, _ = begin()
    export(community, folder)

    assert run_checker(folder).returncode == 0


@pytest.mark.django_db(transaction=True)
def test_write_export_reads_one_moment(folder, run_checker, monkeypatch):
    """An act between two reads of the export, by another connection, is not half in it."""
    community, _, _ = begin()
    checkpoints.sign_checkpoint(community_id=community.pk)
    before = Trail.objects.get(community=community)

    def act():
        try:
            with transaction.atomic():
                audit.record(
                    community_id=community.pk,
                    actor=None,
                    verb=Verb.COMMUNITY_CHANGED,
                    subject=community,
                    data={},
                )
        finally:
            connection.close()

    events = transparency._events

    def meanwhile(of):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(act).result()
        return events(of)

    monkeypatch.setattr(transparency, "_events", meanwhile)
    written = export(community, folder)

    assert Trail.objects.get(community=community).length == before.length + 1
    assert written["length"] == before.length
    assert (folder / "trail.jsonl").read_bytes().count(b"\n") == before.length
    assert run_checker(folder).returncode == 0
    with connection.cursor() as cursor:
        cursor.execute("SHOW default_transaction_isolation")
        assert cursor.fetchone() == ("read committed",)


def test_write_export_signs_a_head_that_moved_on_a_moment_ago(
    populated, folder, run_checker, monkeypatch
):
    """Where an act comes between the signature and the export, its head is signed and kept, too."""
    sign = checkpoints.sign_checkpoint

    acts = iter([change])

    def sign_and_act(**given):
        sign(**given)
        for act in acts:
            act(populated.community)

    monkeypatch.setattr(checkpoints, "sign_checkpoint", sign_and_act)
    written = export(populated.community, folder)

    trail = Trail.objects.get(community=populated.community)
    signed = Checkpoint.objects.filter(community=populated.community).order_by("length")
    assert written["length"] == trail.length == signed.last().length
    assert (folder / "checkpoints.jsonl").read_bytes().count(b"\n") == signed.count() == 2
    assert run_checker(folder).returncode == 0


def test_write_export_gives_up_where_it_is_never_signed_in_time(populated, folder, monkeypatch):
    sign = checkpoints.sign_checkpoint

    def sign_and_act(**given):
        sign(**given)
        change(populated.community)

    monkeypatch.setattr(checkpoints, "sign_checkpoint", sign_and_act)

    with pytest.raises(BadInput, match="grows faster than it can be signed"):
        export(populated.community, folder)


def test_export_audit_writes_what_the_checker_accepts(populated, folder, run_checker, capsys):
    call_command("export_audit", populated.community.slug, str(folder))

    assert Trail.objects.get(community=populated.community).head in capsys.readouterr().out
    assert run_checker(folder).returncode == 0


def test_export_audit_refuses_an_unknown_community_and_a_full_folder(populated, tmp_path):
    with pytest.raises(CommandError, match="no community"):
        call_command("export_audit", "nowhere", str(tmp_path / "new"))
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CommandError, match="not empty"):
        call_command("export_audit", populated.community.slug, str(tmp_path))


def test_write_export_signs_the_head_it_ends_with(populated, folder):
    export(populated.community, folder)
    trail = Trail.objects.get(community=populated.community)
    lines = (folder / "checkpoints.jsonl").read_bytes().splitlines()

    assert json.loads(lines[-1])["checkpoint"]["head"] == trail.head
    assert Checkpoint.objects.get(length=trail.length).head == trail.head


def test_write_export_leaves_out_drafts_and_withdrawn_polls(populated, folder):
    given = {"community_id": populated.community.pk, "actor": populated.steward}
    draft = polling.draft_poll(
        **given, kind="question", title="A draft?", text="Not yet.", period=timedelta(hours=1)
    )
    gone = ask(populated.community, populated.steward, "Gone?", Rule(deliberation=9))
    polling.withdraw_poll(poll_id=gone.pk, actor=populated.steward, reason="It was a mistake.")
    export(populated.community, folder)

    for poll in (draft, gone):
        assert not (folder / f"polls/{poll.pk}.json").exists()
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"A draft?" not in everything
    assert b"It was a mistake" not in everything


# --- downloads ------------------------------------------------------------------------------------


def test_download_gives_visitors_a_record_that_holds_without_dataset_files(
    populated, client, tmp_path, run_checker
):
    response = client.get(reverse("transparency_download", args=[populated.community.slug]))

    assert response["Content-Type"] == "application/zip"
    assert 'filename="the-library-record.zip"' in response["Content-Disposition"]
    content = b"".join(response.streaming_content)
    (tmp_path / "record.zip").write_bytes(content)
    assert run_checker(tmp_path / "record.zip").returncode == 0
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    datasets = [name for name in names if name.startswith("datasets/")]
    assert datasets
    assert {name.split("/")[2] for name in datasets} == {"listing.json"}


def test_download_gives_members_the_dataset_files(populated, client, tmp_path, run_checker):
    client.force_login(populated.people[1])
    url = reverse("transparency_download", args=[populated.community.slug])
    folder = unzipped(client.get(url), tmp_path / "unzipped")

    assert (folder / "datasets" / populated.training.digest / "README.md").is_file()
    assert run_checker(folder).returncode == 0


def test_download_lists_a_dataset_whose_content_was_hidden(
    populated, client, tmp_path, run_checker
):
    comparison = Comparison.objects.filter(prompt__split="train").last()
    item = ReviewItemFactory(community=populated.community, target_key=comparison.prompt_id)
    moderator = populated.steward
    Prompt.objects.update(submitted_by=populated.people[1])
    review.claim(item_id=item.pk, moderator=moderator)
    review.decide(item_id=item.pk, moderator=moderator, action="hide", reason="It harms.")
    client.force_login(populated.people[1])
    url = reverse("transparency_download", args=[populated.community.slug])

    folder = unzipped(client.get(url), tmp_path / "unzipped") / "datasets"

    [listed] = (folder / populated.training.digest).iterdir()
    assert listed.name == "listing.json"
    assert (folder / populated.heldout.digest / "README.md").is_file()
    assert run_checker(folder.parent).returncode == 0


@pytest.mark.django_db(transaction=True)
def test_downloads_are_whole_and_stay_readable_while_the_trail_grows(monkeypatch):
    community, steward, _ = begin()

    def write_large_zip(*, community_id, file, dataset_files):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("record", bytes(4 * 2**20))
        return {"head": Trail.objects.get(community=community_id).head}

    def ask():
        for _ in range(25):
            with transparency.open_zip(community, dataset_files=False) as file:
                assert zipfile.ZipFile(io.BytesIO(file.read())).testzip() is None
        return "whole"

    def grow():
        for n in range(20):
            membership.change_community(
                community_id=community.pk,
                actor=steward,
                purpose=f"Purpose {n}.",
                joining="open",
                visibility="public",
            )
            time.sleep(0.02)

    monkeypatch.setattr(transparency, "write_zip", write_large_zip)
    reader = transparency.open_zip(community, dataset_files=False)
    assert at_once(ask, ask, ask, grow) == ["whole"] * 3 + [None]

    with reader:
        assert zipfile.ZipFile(io.BytesIO(reader.read())).testzip() is None
    transparency.open_zip(community, dataset_files=False).close()
    folder = registry.artifact_path(f"exports/{community.pk}-everyone")
    head = Trail.objects.get(community=community).head
    assert f"{head}.zip" in {path.name for path in folder.iterdir()}
    assert list(folder.glob("unfinished-*")) == []


def test_download_is_made_anew_only_when_the_trail_has_grown(populated, client, monkeypatch):
    url = reverse("transparency_download", args=[populated.community.slug])
    made = []
    write_zip = transparency.write_zip

    def counted(**arguments):
        made.append(arguments)
        return write_zip(**arguments)

    monkeypatch.setattr(transparency, "write_zip", counted)
    first, second = (b"".join(client.get(url).streaming_content) for _ in range(2))
    assert first == second
    assert len(made) == 1

    change(populated.community)
    assert b"".join(client.get(url).streaming_content) != first
    assert len(made) == 2
    kept = storages["artifacts"].listdir(f"exports/{populated.community.pk}-everyone")[1]
    assert kept == [f"{Trail.objects.get(community=populated.community).head}.zip"]


def test_download_that_is_too_large_is_refused_with_a_sentence(populated, client, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    url = reverse("transparency_download", args=[populated.community.slug])
    response = client.get(url, follow=True)

    assert response.redirect_chain == [
        (reverse("transparency", args=[populated.community.slug]), 302)
    ]
    assert "too large for a zip file" in response.content.decode()


def test_checker_download_is_the_checker(client):
    response = client.get(reverse("checker_download"))

    assert b"".join(response.streaming_content) == Path(checker.__file__).read_bytes()
    assert response["Content-Type"].startswith("text/plain")


# --- private communities --------------------------------------------------------------------------

PAGES = ["community_home", "transparency", "transparency_download", "trail"]
API = ["api-community-overview", "api-trail-list", "api-checkpoint-list", "api-export"]


@pytest.mark.parametrize("name", PAGES + API)
def test_private_communities_are_for_members_only(client, name):
    community = CommunityFactory(visibility="private")
    member = MembershipFactory(community=community).user
    url = reverse(name, args=[community.slug])

    assert client.get(url).status_code == 404
    client.force_login(UserFactory())
    assert client.get(url).status_code == 404
    client.force_login(MembershipFactory(community=community, status="suspended").user)
    assert client.get(url).status_code == 404
    client.force_login(member)
    response = client.get(url)
    assert response.status_code == 200
    assert b"".join(response.streaming_content if response.streaming else [response.content])


@pytest.mark.parametrize("name", PAGES + API)
def test_unknown_communities_are_not_found(client, name):
    assert client.get(reverse(name, args=["nowhere"])).status_code == 404


# --- verification ---------------------------------------------------------------------------------


def test_verify_holds_on_an_honest_trail(populated):
    found = transparency.verify(community_id=populated.community.pk)
    trail = Trail.objects.get(community=populated.community)

    assert found.broken is None
    assert (found.length, found.head) == (trail.length, trail.head)
    assert transparency.last_verification(populated.community.pk) == found


def test_verify_finds_a_changed_event(populated):
    mine = "community_id = %s AND seq = 7"
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE governance_auditevent DISABLE TRIGGER audit_event_is_final")
        cursor.execute(
            f"UPDATE governance_auditevent SET actor = 'user:999' WHERE {mine}",
            [populated.community.pk],
        )
        cursor.execute("ALTER TABLE governance_auditevent ENABLE TRIGGER audit_event_is_final")

    assert transparency.verify(community_id=populated.community.pk).broken == 7


def test_verify_refuses_long_trails_and_haste():
    community, _, _ = begin()
    transparency.verify(community_id=community.pk)
    with pytest.raises(InvalidTransition, match="a few seconds ago"):
        transparency.verify(community_id=community.pk)

    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        transparency.verify(community_id=community.pk)
    Trail.objects.filter(community=community).update(
        length=transparency.MOST_EVENTS_VERIFIED_HERE + 1
    )
    with pytest.raises(InvalidTransition, match="check its export"):
        transparency.verify(community_id=community.pk)


def test_transparency_page_verifies_on_request(populated, client):
    url = reverse("transparency", args=[populated.community.slug])
    head = Trail.objects.get(community=populated.community).head
    page = client.get(url).content.decode()
    assert head in page
    assert "not since the site was started" in page
    assert f"Version {populated.version.number}" in page
    assert populated.model.digest in page

    response = client.post(url)
    assert response.status_code == 302
    assert "Verified" in client.get(url).content.decode()


def test_transparency_page_sends_its_part_alone_to_htmx(populated, client):
    url = reverse("transparency", args=[populated.community.slug])
    part = client.post(url, headers={"HX-Request": "true"}).content.decode()

    assert part.strip().startswith('<section id="verification"')
    assert "Verified" in part
    assert "<html" not in part


def test_transparency_page_of_a_long_trail_points_to_the_checker(client):
    community, _, _ = begin()
    Trail.objects.filter(community=community).update(
        length=transparency.MOST_EVENTS_VERIFIED_HERE + 1
    )
    page = client.get(reverse("transparency", args=[community.slug])).content.decode()

    assert "Verify now" not in page
    assert "on your own machine" in page


def test_transparency_page_shows_what_was_signed_in_pages(populated, client, monkeypatch):
    monkeypatch.setattr(public_views, "CHECKPOINTS_A_PAGE", 1)
    community = populated.community
    first = checkpoints.sign_checkpoint(community_id=community.pk)
    change(community)
    second = checkpoints.sign_checkpoint(community_id=community.pk)
    Checkpoint.objects.filter(pk=first.pk).update(posted_at=timezone.now())
    url = reverse("transparency", args=[community.slug])
    latest, older = (client.get(url, {"page": n}).content.decode() for n in (1, 2))

    assert signing.public_key() in latest
    assert second.signature in latest
    assert first.signature not in latest
    assert "here alone" in latest
    assert first.signature in older
    assert "posted elsewhere" in older


def test_checkpoint_api_gives_what_is_exported(populated, client):
    community = populated.community
    checkpoint = checkpoints.sign_checkpoint(community_id=community.pk)
    found = client.get(reverse("api-checkpoint-list", args=[community.slug])).json()

    assert found["results"] == [{**checkpoints.record(checkpoint), "posted_at": None}]


def test_the_key_is_published_for_everyone(client):
    response = client.get("/.well-known/folkmoot-key.json")

    assert response.json() == {
        "schema": "folkmoot.key/1",
        "algorithm": "Ed25519",
        "key": signing.public_key(),
    }
    assert response["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("rows", [1, 3])
def test_transparency_page_asks_a_constant_number_of_queries(
    client, django_assert_max_num_queries, rows
):
    community = CommunityFactory()
    for _ in range(rows):
        VersionFactory(community=community)
        change(community)
        checkpoints.sign_checkpoint(community_id=community.pk)

    with django_assert_max_num_queries(10):
        client.get(reverse("transparency", args=[community.slug]))
