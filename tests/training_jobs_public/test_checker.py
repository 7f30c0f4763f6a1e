"""The offline checker: holds on what the site exports, and on nothing that was changed."""

import ast
import io
import json
import re
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from governance import checker, signing
from governance.canonical import canonical_json, digest
from governance.rules import METHODS
from tests.training_jobs_public.forging import Forgery, stranger, text_digest

pytestmark = pytest.mark.django_db  # the export is made from a database

LONGEST = 645


@pytest.fixture
def forgery(exported):
    return Forgery(exported)


def flipped(content, place, bits=1):
    changed = bytearray(content)
    changed[place] ^= bits
    return bytes(changed)


def places(length):
    return sorted({0, length // 4, length // 2, 3 * length // 4, length - 1})


# --- what holds -----------------------------------------------------------------------------------


def test_checker_is_one_short_file_of_the_standard_library_and_cryptography():
    source = Path(checker.__file__).read_text()
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }

    assert len(source.splitlines()) < LONGEST
    assert imported <= {*sys.stdlib_module_names, "cryptography"}
    assert "float(" not in source
    assert " / " not in re.sub(r"folder / |artifacts / ", "", source)


def test_checker_tells_what_it_checked(exported, run_checker, tmp_path):
    done = run_checker(exported.write(tmp_path))
    lines = done.stdout.splitlines()
    events = exported.files["trail.jsonl"].count(b"\n")
    polls = sum(name.startswith("polls/") for name in exported.files)

    assert polls == 6 + len(METHODS[1:]) + 7 + 2
    assert done.returncode == 0
    assert not done.stderr
    assert (
        lines[0] == f"{len(exported.files) - 1} files: each has the SHA-256 that index.json gives"
    )
    assert (
        f"{events} events: chain holds, head {json.loads(exported.files['head.json'])['head']}"
        in lines
    )
    assert sum(line.startswith("polls/") for line in lines) == polls
    assert "1 checkpoints: signatures hold, the last one covers the head" in lines
    assert any(line.startswith(f"key {signing.public_key()}: announced") for line in lines)
    assert "2 versions: digests and what they rest on hold" in lines
    assert "2 datasets: digests and what they rest on hold" in lines
    assert lines[-1] == "Everything holds."


def test_checker_reads_the_zip_file(exported, run_checker, tmp_path):
    path = tmp_path / "record.zip"
    path.write_bytes(exported.archive)

    assert run_checker(path).returncode == 0


def test_checker_hashes_the_real_files_where_told(exported, run_checker, refuses, tmp_path):
    export = exported.write(tmp_path / "export")
    artifacts = exported.write(tmp_path / "artifacts", exported.artifacts)

    done = run_checker(export, "--artifacts", artifacts)
    assert done.returncode == 0
    assert f"2 models: digests and what they rest on hold, and files in {artifacts}" in done.stdout

    weights = next(artifacts.glob("models/*/model.safetensors"))
    weights.write_bytes(flipped(weights.read_bytes(), 0))
    assert "are not those recorded" in refuses(export, "--artifacts", artifacts)

    weights.unlink()
    assert "are not those recorded" in refuses(export, "--artifacts", artifacts)


def test_checker_accepts_a_head_noted_earlier_and_no_other(
    exported, run_checker, refuses, tmp_path
):
    export = exported.write(tmp_path)
    earlier = json.loads(exported.files["trail.jsonl"].splitlines()[3])["event_hash"]

    assert run_checker(export, "--head", earlier).returncode == 0
    assert "was never the head" in refuses(export, "--head", "f" * 64)


def test_checker_accepts_listings_in_place_of_dataset_files(forgery, run_checker, tmp_path):
    folders = {name.split("/")[1] for name in forgery.files if name.startswith("datasets/")}
    assert len(folders) == 2
    for folder in folders:
        prefix = f"datasets/{folder}/"
        names = [name for name in forgery.files if name.startswith(prefix)]
        sums = json.loads(forgery.files["index.json"])["files"]
        listing = {name.removeprefix(prefix): sums[name] for name in names}
        for name in names:
            del forgery.files[name]
        forgery.put(f"{prefix}listing.json", {"files": listing})

    assert run_checker(forgery.write(tmp_path)).returncode == 0


# --- one changed byte -----------------------------------------------------------------------------


def test_one_flipped_byte_anywhere_in_any_file_fails(exported, refuses, tmp_path):
    export = exported.write(tmp_path)

    for name, content in exported.files.items():
        for place in places(len(content)):
            (export / name).write_bytes(flipped(content, place))
            refuses(export)
        (export / name).write_bytes(content)


def test_one_flipped_byte_fails_even_with_a_matching_index(exported, refuses_as_program, tmp_path):
    for n, name in enumerate(sorted(set(exported.files) - {"index.json"})):
        forgery = Forgery(exported)
        content = forgery.files[name]
        forgery.files[name] = flipped(content, len(content) // 2)
        forgery.reindex()
        refuses_as_program(exported.write(tmp_path / str(n), forgery.files))


def test_one_flipped_byte_anywhere_in_the_zip_file_fails(exported, refuses, tmp_path):
    content = exported.archive
    path = tmp_path / "record.zip"
    start = content.index(b"PK\1\2")
    step = max(1, (len(content) - 120) // 150)
    sample = {*range(60), *range(0, len(content), step), *range(start, start + 60)}

    for place in sorted(sample | set(range(len(content) - 22, len(content)))):
        path.write_bytes(flipped(content, place))
        refuses(path)


def test_bytes_before_after_and_between_the_zips_files_fail(exported, refuses, tmp_path):
    path = tmp_path / "record.zip"
    for content in (b"x" + exported.archive, exported.archive + b"x", exported.archive[:-1]):
        path.write_bytes(content)
        refuses(path)


def test_a_garbled_export_fails_without_a_traceback(exported, refuses_as_program, tmp_path):
    for n, content in enumerate((b"[" * 100_000, b"\xff", b'{"a":1e400}')):
        for name in ("index.json", "trail.jsonl"):
            forgery = Forgery(exported)
            forgery.files[name] = content
            if name != "index.json":
                forgery.reindex()
            folder = tmp_path / f"{n}-{name}"
            refuses_as_program(exported.write(folder, forgery.files))


def test_a_zip_file_with_two_files_of_one_name_is_refused(exported, refuses, tmp_path):
    path = tmp_path / "record.zip"
    files = [("versions/1.json", b"what some programs would unpack"), *exported.files.items()]
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # it warns of the second file of a name
        for name, content in files:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)

    assert "is not packed as exports are" in refuses(path)


def test_the_words_of_a_forged_export_cannot_pass_for_the_checkers_own(exported, refuses, tmp_path):
    forgery = Forgery(exported)
    forgery.files["more\nEverything holds.\x1b[2K"] = b""

    assert "moreEverything holds." in refuses(exported.write(tmp_path, forgery.files))


def test_a_zip_file_that_was_packed_otherwise_is_refused(exported, refuses, tmp_path):
    path = tmp_path / "record.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in exported.files.items():
            archive.writestr(name, content)

    assert "is compressed" in refuses(path)


# --- malformed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\xff\xfe",
        b"{",
        b'{"a":1.5}',
        b'{"a":NaN}',
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":9007199254740993}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0041"}',
        b"[" * 100_000,
        b'{"files":7}',
        b"\n",
    ],
)
def test_checker_refuses_malformed_files_with_a_sentence(exported, refuses, tmp_path, content):
    for n, name in enumerate(_one_of_each_kind(exported)):
        forgery = Forgery(exported)
        forgery.files[name] = content
        if name != "index.json":
            forgery.reindex()
        refuses(exported.write(tmp_path / str(n), forgery.files))


def _one_of_each_kind(exported):
    kinds = {}
    for name in exported.files:
        kinds.setdefault(name.split("/")[0], name)
    return kinds.values()


@pytest.mark.parametrize("value", [None, 1, True, "x", [], {}, [1], {"a": 1}])
def test_checker_refuses_values_of_other_types(exported, refuses, tmp_path, value):
    name = next(name for name in exported.files if name.startswith("polls/"))
    for n, key in enumerate(json.loads(exported.files[name])):
        forgery = Forgery(exported)
        if forgery.read(name)[key] == value:
            continue
        forgery.put(name, {**forgery.read(name), key: value})
        refuses(forgery.write(tmp_path / str(n)))


def test_checker_refuses_what_is_no_export(exported, refuses, tmp_path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    empty_zip = io.BytesIO()
    zipfile.ZipFile(empty_zip, "w").close()
    (tmp_path / "empty.zip").write_bytes(empty_zip.getvalue())

    for name in ("text", "empty", "empty.zip", "nothing"):
        refuses(tmp_path / name)


def test_checker_refuses_missing_surplus_and_linked_files(exported, refuses, tmp_path):
    export = exported.write(tmp_path / "export")
    for name in exported.files:
        (export / name).rename(tmp_path / "aside")
        refuses(export)
        (export / name).symlink_to(tmp_path / "aside")
        assert "is a link" in refuses(export)
        (export / name).unlink()
        (tmp_path / "aside").rename(export / name)
    (export / "more.txt").write_text("more")
    assert "more.txt" in refuses(export)


def test_checker_refuses_a_file_that_no_event_speaks_of(forgery, refuses, tmp_path):
    forgery.put("polls/999.json", forgery.poll("More?")[1])

    assert "polls/999.json is there, and no event speaks of it" in refuses(forgery.write(tmp_path))


# --- forged with hashes that agree ----------------------------------------------------------------


def test_an_untouched_forgery_holds(forgery, run_checker, tmp_path):
    assert run_checker(forgery.write(tmp_path)).returncode == 0


def test_a_wrong_tally_is_caught(forgery, refuses, tmp_path):
    name, content, events = forgery.poll("More?")
    content["tally"]["yes"] += 1
    events["poll.closed"]["data"]["tally"] = content["tally"]
    forgery.put(name, content)

    assert "claims another yes" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("title", ["More?", "Less?", "Silence?"])
def test_a_wrong_outcome_is_caught(forgery, refuses, tmp_path, title):
    name, content, events = forgery.poll(title)
    content["outcome"] = content["tally"]["outcome"] = "passed"
    events["poll.closed"]["data"] |= {"outcome": "passed", "tally": content["tally"]}
    forgery.put(name, content)

    assert "claims another outcome" in refuses(forgery.write(tmp_path))


def test_another_electorate_is_caught(forgery, refuses, tmp_path):
    name, content, _ = forgery.poll("More?")
    content["electorate"] = sorted([*content["electorate"], ["0" * 32, 1, ""]])
    forgery.put(name, content)

    assert "another electorate_digest" in refuses(forgery.write(tmp_path))


def test_another_weight_or_group_of_an_elector_is_caught(exported, refuses, tmp_path):
    for place, value in ((1, 2), (2, "Writers")):
        forgery = Forgery(exported)
        name, content, _ = forgery.poll("With groups?")
        content["electorate"][0][place] = value
        forgery.put(name, content)
        assert "another electorate_digest" in refuses(forgery.write(tmp_path / str(place)))


def test_an_elector_twice_is_caught(forgery, refuses, tmp_path):
    name, content, events = forgery.poll("More?")
    content["electorate"] = sorted([*content["electorate"], content["electorate"][0]])
    forgery.put_poll(name, content, events)

    assert "an elector twice" in refuses(forgery.write(tmp_path))


def test_a_weight_that_the_rule_does_not_give_is_caught(exported, refuses, tmp_path):
    for title, weight in (("More?", 2), ("With groups?", 6), ("With groups?", 0)):
        forgery = Forgery(exported)
        name, content, events = forgery.poll(title)
        content["electorate"][0][1] = weight
        forgery.put_poll(name, content, events)
        found = refuses(forgery.write(tmp_path / f"{title}{weight}"))
        assert "a weight that its rule does not give" in found


def test_two_delegations_of_one_elector_are_caught(forgery, refuses, tmp_path):
    name, content, events = forgery.poll("Through delegates?")
    giver, _ = content["delegations"][0]
    content["delegations"] = sorted([*content["delegations"], [giver, "0" * 32]])
    forgery.put_poll(name, content, events)

    assert "two delegations of one elector" in refuses(forgery.write(tmp_path))


def cast(content, voter, said, nonce="00"):
    """Add a ballot to a poll's record, with the act and the commitment that it would have."""
    content["ballots"] = sorted([*content["ballots"], [voter, said, nonce]])
    content["batches"][-1].append([voter, "cast", digest([voter, said, nonce])])


def test_the_ballot_of_an_outsider_is_caught(forgery, refuses, tmp_path):
    name, content, events = forgery.poll("More?")
    cast(content, "0" * 32, "yes")
    forgery.put_poll(name, content, events)

    assert "could not do" in refuses(forgery.write(tmp_path))


def test_two_ballots_of_one_voter_are_caught(exported, refuses, tmp_path):
    for n, doubled in enumerate((False, True)):
        forgery = Forgery(exported)
        name, content, events = forgery.poll("More?")
        content["ballots"].insert(0, content["ballots"][0])
        if doubled:
            voter, said, nonce = content["ballots"][0]
            content["batches"][-1].append([voter, "cast", digest([voter, said, nonce])])
        forgery.put_poll(name, content, events)
        refuses(forgery.write(tmp_path / str(n)))


def test_a_ballot_that_nobody_cast_is_caught(exported, refuses, tmp_path):
    for n, title in enumerate(("Less?", "Secretly?")):
        forgery = Forgery(exported)
        name, content, events = forgery.poll(title)
        voted = [voter for voter, _, _ in content["batches"][0]]
        absent = [voter for voter, _, _ in content["electorate"] if voter not in voted]
        more = [absent[0], "yes", "00"] if title == "Less?" else "yes"
        content["ballots"] = sorted([*content["ballots"], more], key=canonical_json)
        forgery.put_poll(name, content, events)
        assert "does not have the ballots that stood" in refuses(forgery.write(tmp_path / str(n)))


def test_another_ballot_than_was_committed_to_is_caught(forgery, refuses, tmp_path):
    name, content, events = forgery.poll("Less?")
    content["ballots"][0][1] = "no"
    forgery.put_poll(name, content, events)

    assert "other ballots than those committed to" in refuses(forgery.write(tmp_path))


def test_a_batch_left_out_is_caught(forgery, refuses, tmp_path):
    event = next(each for each in forgery.events if each["verb"] == "ballots.recorded")
    forgery.events.remove(event)

    assert "other acts of voters" in refuses(forgery.write(tmp_path))


def test_another_delegation_is_caught(exported, refuses, tmp_path):
    for n, agreeing in enumerate((False, True)):
        forgery = Forgery(exported)
        name, content, events = forgery.poll("Through delegates?")
        assert len(content["delegations"]) == 4
        content["delegations"].pop()
        if agreeing:
            forgery.put_poll(name, content, events)
        else:
            forgery.put(name, content)
        found = refuses(forgery.write(tmp_path / str(n)))
        assert ("claims another" if agreeing else "another delegations_digest") in found


def test_another_option_is_caught(forgery, refuses, tmp_path):
    name, content, _ = forgery.poll("By irv?")
    content["options"][0]["title"] = "Anteaters"
    forgery.put(name, content)

    assert "another options_digest" in refuses(forgery.write(tmp_path))


def test_another_winner_is_caught_whatever_the_method(exported, refuses, tmp_path):
    for method in METHODS[1:]:
        forgery = Forgery(exported)
        name, content, events = forgery.poll(f"By {method}?")
        options = [option["key"] for option in content["options"]]
        won = content["tally"]["winners"]
        others = [option for option in options if [option] != won][:1]
        counted = {**content["tally"]["count"], "winners": others}
        outcome = "rejected" if others == ["status-quo"] else "passed"
        forgery.put_tally(name, content, events, winners=others, count=counted, outcome=outcome)
        assert re.search("claims another .*winners", refuses(forgery.write(tmp_path / method)))


def test_another_pairwise_figure_is_caught(forgery, refuses, tmp_path):
    name, content, events = forgery.poll("By schulze-wv?")
    content["tally"]["count"]["pairwise"]["ants"]["bees"] += 1
    forgery.put_tally(name, content, events)

    assert "claims another count" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("title", ["More?", "By schulze-wv?"])
def test_a_figure_of_nothing_that_is_left_out_is_caught(forgery, refuses, tmp_path, title):
    name, content, events = forgery.poll(title)
    assert content["tally"].pop("delegation") is None
    forgery.put_tally(name, content, events)

    assert "claims another delegation" in refuses(forgery.write(tmp_path))


def test_another_seed_than_was_committed_to_is_caught(forgery, refuses, tmp_path):
    name, content, events = forgery.poll("By approval?")
    content["seed"] = events["poll.closed"]["data"]["seed"] = "0" * 64
    forgery.put(name, content)

    assert "another seed_digest" in refuses(forgery.write(tmp_path))


def test_an_unknown_choice_is_caught(forgery, refuses, tmp_path):
    name, content, events = forgery.poll("More?")
    voter, _, nonce = content["ballots"][0]
    content["ballots"][0][1] = "maybe"
    acts = [act for act in content["batches"][-1] if act[0] == voter]
    acts[-1][2] = digest([voter, "maybe", nonce])
    forgery.put_poll(name, content, events)

    assert "a ballot that is none of this poll" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("key", ["text", "title", "kind", "rule"])
def test_another_question_than_was_opened_is_caught(forgery, refuses, tmp_path, key):
    name, content, _ = forgery.poll("More?")
    content[key] = {**content["rule"], "threshold": [1, 1]} if key == "rule" else "Other"
    forgery.put(name, content)

    assert f"was opened with another {key}" in refuses(forgery.write(tmp_path))


def test_a_poll_closed_before_its_deadline_is_caught(forgery, refuses, tmp_path):
    events = forgery.poll("More?")[2]
    events["poll.closed"]["at"] = events["poll.opened"]["at"]

    assert "was ended too early" in refuses(forgery.write(tmp_path))


def test_a_poll_closed_early_without_two_stewards_is_caught(exported, refuses, tmp_path):
    for n, wrong in enumerate(("nobody", "one", "another poll", "nothing", "no motion")):
        forgery = Forgery(exported)
        closed = forgery.poll("Long enough?")[2]["poll.closed"]
        subject = f"motion:{closed['data']['motion']}"
        about = {e["verb"]: e for e in forgery.events if e["subject"] == subject}
        moved, carried = about["motion.moved"], about["motion.carried"]
        if wrong == "nobody":
            forgery.events.remove(carried)
        elif wrong == "one":
            carried["actor"] = moved["actor"]
        elif wrong == "another poll":
            moved["data"]["poll"] += 1
        elif wrong == "nothing":
            moved["data"]["kind"] = "withdraw_poll"
        else:
            closed["data"]["motion"] = 0
        refuses(forgery.write(tmp_path / str(n)))


def test_an_open_poll_withdrawn_without_two_stewards_is_caught(forgery, refuses, tmp_path):
    forgery.event("poll.withdrawn")["data"]["motion"] = 0

    assert "was ended too early" in refuses(forgery.write(tmp_path))


def test_an_extension_against_the_rule_is_caught(exported, refuses, tmp_path):
    for n, wrong in enumerate(("longer", "twice", "unasked")):
        forgery = Forgery(exported)
        name, content, events = forgery.poll("Extended?")
        extended = events["poll.extended"]
        if wrong == "longer":
            extended["data"]["closes_at"] = (
                f"2{extended['data']['closes_at'][1:4]}-12-31T23:59:59.000000Z"
            )
        elif wrong == "twice":
            again = {**extended, "at": extended["data"]["closes_at"]}
            forgery.events.insert(forgery.events.index(extended) + 1, again)
        else:
            content["rule"]["extension"] = 0
            forgery.put_poll(name, content, events)
        found = refuses(forgery.write(tmp_path / str(n)))
        assert ("not open" if wrong == "twice" else "extended against its rule") in found


def test_a_poll_opened_otherwise_than_announced_is_caught(exported, refuses, tmp_path):
    for n, wrong in enumerate(("unannounced", "early", "revised")):
        forgery = Forgery(exported)
        events = forgery.poll("After a while?")[2]
        if wrong == "unannounced":
            forgery.events.remove(events["poll.announced"])
            forgery.events.remove(events["poll.revised"])
        elif wrong == "early":
            events["poll.opened"]["at"] = events["poll.announced"]["at"]
        else:
            forgery.events.remove(events["poll.revised"])
        assert "was not opened as it was announced" in refuses(forgery.write(tmp_path / str(n)))


def test_late_ballots_are_caught(forgery, refuses, tmp_path):
    recorded = forgery.event("ballots.recorded")
    closed = forgery.poll("More?")[2]["poll.closed"]
    forgery.events.append({**recorded, "subject": closed["subject"]})

    assert "was not open at one of its events" in refuses(forgery.write(tmp_path))


def test_a_poll_opened_or_closed_twice_is_caught(forgery, exported, refuses, tmp_path):
    for n, verb in enumerate(("poll.opened", "poll.closed")):
        again = Forgery(exported)
        again.events.append(dict(again.poll("More?")[2][verb]))
        refuses(again.write(tmp_path / str(n)))


def test_a_removed_event_is_caught(forgery, exported, refuses, tmp_path):
    for n, verb in enumerate(
        ("poll.opened", "version.ratified", "dataset.frozen", "ballots.recorded")
    ):
        cut = Forgery(exported)
        cut.events.remove(next(event for event in cut.events if event["verb"] == verb))
        refuses(cut.write(tmp_path / str(n)))


def test_a_wrong_version_digest_is_caught(forgery, refuses, tmp_path):
    forgery.event("version.ratified", number=2)["data"]["digest"] = "0" * 64

    assert "versions/2.json does not have its digest" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize(
    ("field", "value"),
    [("title", "Mine"), ("preamble", "Mine"), ("parent", None), ("number", 3), ("community", "x")],
)
def test_another_version_than_was_voted_on_is_caught(forgery, refuses, tmp_path, field, value):
    content = forgery.read("versions/2.json")
    assert content[field] != value
    content[field] = value
    _put_version(forgery, content)

    refuses(forgery.write(tmp_path))


def test_another_principle_than_was_voted_on_is_caught(exported, refuses, tmp_path):
    principles = json.loads(exported.files["versions/2.json"])["principles"]
    changes = {
        "title": "Other",
        "text": "Other",
        "rationale": "Other",
        "hazard_codes": ["S9"],
        "critique_request": "Other",
        "revision_request": "Other",
        "weight": 9,
        "examples": [],
    }
    last = len(principles) - 1
    assert all(principles[last][key] != value for key, value in changes.items())

    for n, (key, value) in enumerate(changes.items()):
        forgery = Forgery(exported)
        content = forgery.read("versions/2.json")
        content["principles"][last][key] = value
        _put_version(forgery, content)
        assert "is not the text of poll" in refuses(forgery.write(tmp_path / str(n)))


def test_a_principle_taken_out_is_caught(forgery, refuses, tmp_path):
    content = forgery.read("versions/2.json")
    content["principles"].pop()
    _put_version(forgery, content)

    assert "is not the text of poll" in refuses(forgery.write(tmp_path))


def test_words_left_out_behind_a_character_that_nobody_sees_are_caught(forgery, refuses, tmp_path):
    content = forgery.read("versions/2.json")
    first, _, rest = content["principles"][0]["text"].partition(" ")
    content["principles"][0]["text"] = f"\0 {rest}"
    assert "(" not in first
    _put_version(forgery, content)

    assert "is not the text of poll" in refuses(forgery.write(tmp_path))


def test_an_old_version_brought_back_by_its_old_poll_is_caught(forgery, refuses, tmp_path):
    old = forgery.event("version.ratified", number=1)
    now = forgery.event("version.ratified", number=2)["data"]["digest"]
    content = {**forgery.read("versions/1.json"), "number": 3, "parent": now}
    forgery.put("versions/3.json", content)
    data = {**old["data"], "number": 3, "parent": now, "digest": digest(content)}
    forgery.events.append({**old, "data": data})

    assert "is not the text of poll" in refuses(forgery.write(tmp_path))


def test_a_vote_that_passed_and_was_passed_over_is_caught(forgery, refuses, tmp_path):
    last = forgery.event("version.ratified", number=2)
    del forgery.files["versions/2.json"]
    end = forgery.events.index(last)
    for event in forgery.events[end:]:
        _forget(forgery, event)
    forgery.events = forgery.events[:end]

    assert "passed, but put no version in force" in refuses(forgery.write(tmp_path))


def _forget(forgery, event):
    """Take out the files that only this event speaks of."""
    verb, data = event["verb"], event["data"]
    gone = []
    if verb == "poll.closed":
        gone = [f"polls/{event['subject'].partition(':')[2]}.json"]
    elif verb == "dataset.frozen":
        gone = [name for name in forgery.files if data["digest"] in name]
    elif verb == "model.registered":
        gone = [f"models/{digest}.json" for digest in (data["digest"], *data["parents"])]
    for name in gone:
        del forgery.files[name]


@pytest.mark.parametrize(
    "key",
    [
        *("kind", "title", "rule", "text_digest", "electorate_size", "electorate_digest"),
        *("electorate_weight", "options_digest", "seed_digest"),
    ],
)
def test_a_poll_that_was_opened_without_saying_all_is_caught(forgery, refuses, tmp_path, key):
    del forgery.poll("More?")[2]["poll.opened"]["data"][key]

    assert ("KeyError('rule')" if key == "rule" else f"another {key}") in refuses(
        forgery.write(tmp_path)
    )


def test_a_version_of_a_poll_that_did_not_pass_is_caught(forgery, refuses, tmp_path):
    event = forgery.event("version.ratified", number=2)
    name = forgery.poll("More?")[0]
    event["data"]["poll"] = int(name[6:-5])

    assert "did not pass" in refuses(forgery.write(tmp_path))


def _put_version(forgery, content):
    forgery.put("versions/2.json", content)
    forgery.event("version.ratified", number=2)["data"]["digest"] = digest(content)
    for event in forgery.events:
        for key in ("version_digest",):
            if key in event["data"]:
                event["data"][key] = digest(content)


def test_a_wrong_dataset_digest_is_caught(forgery, refuses, tmp_path):
    event = forgery.event("dataset.frozen")
    event["data"]["digest"] = "0" * 64

    refuses(forgery.write(tmp_path))


def test_a_dataset_of_a_version_never_ratified_is_caught(forgery, refuses, tmp_path):
    forgery.event("dataset.frozen")["data"]["version_digest"] = "0" * 64

    assert "rests on a version" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("what", ["version", "dataset"])
def test_a_model_of_something_unknown_is_caught(forgery, refuses, tmp_path, what):
    forgery.event("model.registered")["data"][f"{what}_digest"] = "0" * 64

    assert f"rests on a {what}" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("dataset.frozen", "version"),
        ("model.registered", "version"),
        ("model.registered", "dataset"),
    ],
)
@pytest.mark.parametrize("said", [{}, {"digest": None}])
def test_what_rests_on_nothing_is_caught(forgery, refuses, tmp_path, verb, what, said):
    data = forgery.event(verb)["data"]
    del data[f"{what}_digest"]
    data |= {f"{what}_{key}": value for key, value in said.items()}

    assert f"rests on a {what}" in refuses(forgery.write(tmp_path))


def test_a_model_of_an_unknown_parent_is_caught(forgery, refuses, tmp_path):
    forgery.event("model.registered")["data"]["parents"] = ["0" * 64]

    assert f"models/{'0' * 64}.json is missing" in refuses(forgery.write(tmp_path))


def test_a_models_changed_listing_is_caught(forgery, refuses, tmp_path):
    name = f"models/{forgery.event('model.registered')['data']['digest']}.json"
    forgery.put(name, {"files": {"model.safetensors": "0" * 64}})

    assert "does not have its digest" in refuses(forgery.write(tmp_path))


def test_a_models_listing_that_says_more_is_caught(forgery, refuses, tmp_path):
    name = f"models/{forgery.event('model.registered')['data']['digest']}.json"
    forgery.put(name, {**forgery.read(name), "more": 1})

    assert "does not have its digest" in refuses(forgery.write(tmp_path))


def test_a_release_without_a_poll_about_the_model_is_caught(forgery, refuses, tmp_path):
    other = int(forgery.poll("More?")[0][6:-5])
    forgery.event("release.decided")["data"]["poll"] = other

    assert "releases a model that no poll was about" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("released", ["parent", "nothing"])
def test_a_release_of_another_model_than_was_voted_on_is_caught(
    forgery, refuses, tmp_path, released
):
    parent = forgery.event("model.registered")["data"]["parents"][0]
    forgery.event("release.decided")["data"]["model_digest"] = {"parent": parent}.get(released, "")

    assert "releases a model that no poll was about" in refuses(forgery.write(tmp_path))


def _ask_otherwise(forgery, **content):
    """Change what the poll about the release asked, from its opening on."""
    name = f"polls/{forgery.event('release.decided')['data']['poll']}.json"
    content = {**forgery.read(name), **content}
    content["text_digest"] = text_digest(content["text"])
    forgery.put(name, content)
    opened = forgery.poll(content["title"])[2]["poll.opened"]["data"]
    opened |= {key: content[key] for key in ("kind", "text_digest")}


def test_a_release_by_a_plain_question_is_caught(forgery, refuses, tmp_path):
    _ask_otherwise(forgery, kind="question")

    assert "releases a model that no poll was about" in refuses(forgery.write(tmp_path))


def test_the_release_of_a_model_that_is_not_registered_is_caught(forgery, refuses, tmp_path):
    _ask_otherwise(forgery, text=f"Shall we?\nModel: sha256 {'f' * 64}\n")
    forgery.event("release.decided")["data"]["model_digest"] = "f" * 64

    assert "releases a model that no poll was about" in refuses(forgery.write(tmp_path))


def test_a_trail_that_another_community_began_is_caught(forgery, refuses, tmp_path):
    forgery.event("community.created")["data"]["slug"] = "elsewhere"

    assert "is not the one with which this community begins" in refuses(forgery.write(tmp_path))


def test_a_trail_whose_beginning_is_missing_is_caught(forgery, refuses, tmp_path):
    del forgery.events[0]

    assert "is not the one with which this community begins" in refuses(forgery.write(tmp_path))


def test_the_export_of_another_community_is_caught(forgery, refuses, tmp_path):
    forgery.put("index.json", {**forgery.read("index.json"), "community": "elsewhere"})

    refuses(forgery.write(tmp_path))


def test_a_history_written_anew_is_caught_by_a_head_noted_before(forgery, refuses, tmp_path):
    noted = json.loads(forgery.files["head.json"])["head"]
    forgery.events[0]["actor"] = "user:999"

    assert "was never the head" in refuses(forgery.write(tmp_path), "--head", noted)


# --- signatures -----------------------------------------------------------------------------------


def test_a_history_written_anew_without_the_key_is_caught(forgery, refuses, tmp_path):
    forgery.events[0]["actor"] = "user:999"

    assert "Checkpoint 1 is not of this trail" in refuses(forgery.write(tmp_path, sign=False))


def test_a_head_that_nobody_signed_is_caught(forgery, refuses, tmp_path):
    forgery.events.append({**forgery.events[-1], "verb": "community.changed", "data": {}})

    assert "does not sign the head" in refuses(forgery.write(tmp_path, sign=False))


def test_a_checkpoint_signed_with_another_key_is_caught(forgery, refuses, tmp_path):
    head = forgery.read("head.json")
    signed = forgery.sign(head["head"], head["length"], key=stranger())
    forgery.put_lines("checkpoints.jsonl", [signed])
    forgery.reindex()
    found = refuses(forgery.exported.write(tmp_path / "other", forgery.files))
    assert "has another key than the trail announced" in found

    forgery.put_lines("checkpoints.jsonl", [{**signed, "public_key": signing.public_key()}])
    forgery.reindex()
    found = refuses(forgery.exported.write(tmp_path / "same", forgery.files))
    assert found.startswith("The signature of Checkpoint 1 cannot be right")


def test_a_new_key_counts_from_its_announcement_on(forgery, run_checker, refuses, tmp_path):
    old = json.loads(forgery.files["checkpoints.jsonl"])
    public = stranger().public_key().public_bytes_raw().hex()
    announced = forgery.event("key.announced")
    forgery.events.append({**announced, "data": {"public_key": public}})
    forgery.chain()
    head = forgery.read("head.json")
    new = forgery.sign(head["head"], head["length"], key=stranger(), after=[old])
    forgery.put_lines("checkpoints.jsonl", [old, new])
    forgery.reindex()
    path = forgery.exported.write(tmp_path / "both", forgery.files)

    assert run_checker(path).returncode == 0
    keys = ["--key", signing.public_key()]
    assert "not among those given" in refuses(path, *keys)
    assert run_checker(path, *keys, "--key", public).returncode == 0

    forgery.put_lines(
        "checkpoints.jsonl", [old, forgery.sign(head["head"], head["length"], after=[old])]
    )
    forgery.reindex()
    assert "another key" in refuses(forgery.exported.write(tmp_path / "old", forgery.files))


def test_checkpoints_out_of_order_are_caught(forgery, refuses, tmp_path):
    line = forgery.files["checkpoints.jsonl"]
    forgery.files["checkpoints.jsonl"] = line + line
    forgery.reindex()

    assert "Checkpoint 2 is not in its place" in refuses(
        forgery.exported.write(tmp_path, forgery.files)
    )


@pytest.mark.parametrize("unchained", [0, 2, 6])
def test_chained_checkpoints_hold_and_so_do_those_from_before(
    forgery, run_checker, tmp_path, unchained
):
    signed = forgery.sign_often(6, unchained=unchained)

    assert run_checker(written(forgery, tmp_path, signed)).returncode == 0


@pytest.mark.parametrize("unchained", [0, 2, 4])
@pytest.mark.parametrize("place", range(5))
def test_a_checkpoint_left_out_is_caught(forgery, refuses, tmp_path, unchained, place):
    signed = forgery.sign_often(6, unchained=unchained)
    del signed[place]

    found = refuses(written(forgery, tmp_path, signed))
    assert "does not follow the one before, by its number" in found


def test_a_checkpoint_of_another_chain_is_caught(forgery, refuses, tmp_path):
    signed, head = forgery.sign_often(3), forgery.read("head.json")
    other = forgery.sign_often(4)[1:3]  # that come after another one, which was then taken away
    signed[-1] = forgery.sign(head["head"], head["length"], after=[signed[0], other[0]])

    found = refuses(written(forgery, tmp_path, signed))
    assert "by its previous" in found


def test_a_checkpoint_that_leaves_the_chain_is_caught(forgery, refuses, tmp_path):
    signed = [*forgery.sign_often(3)[:2], forgery.sign_often(1, unchained=1)[0]]

    found = refuses(written(forgery, tmp_path, signed))
    assert "Checkpoint 3 is not of this trail" in found


def written(forgery, folder, signed):
    """Write an export with these checkpoints."""
    forgery.put_lines("checkpoints.jsonl", signed)
    forgery.reindex()
    return forgery.exported.write(folder, forgery.files)


# --- who decides about stewards and rules ---------------------------------------------------------


def change(forgery, verb, **wanted):
    """Return the change that a poll decided, or as wanted."""
    return next(
        event
        for event in forgery.events
        if event["verb"] == verb
        and all(bool(event["data"].get(key)) == value for key, value in wanted.items())
    )


GOVERNED = ["role.changed", "community.rule_changed"]


@pytest.mark.parametrize("verb", GOVERNED)
def test_a_change_that_takes_a_poll_and_had_none_is_caught(forgery, refuses, tmp_path, verb):
    change(forgery, verb, poll=True)["data"]["poll"] = 0

    assert "takes a poll: there are 5 members, above 2" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("verb", GOVERNED)
def test_a_change_in_a_community_that_was_not_small_is_caught(forgery, refuses, tmp_path, verb):
    wanted = {"motion": True} if verb == "role.changed" else {}
    change(forgery, verb, poll=False, **wanted)["data"]["limit"] = 4

    assert "takes a poll: there are 5 members, above 4" in refuses(forgery.write(tmp_path))


def test_members_who_left_do_not_count(forgery, run_checker, tmp_path):
    joined = [event for event in forgery.events if event["verb"] == "member.joined"]
    changed = change(forgery, "community.rule_changed", poll=False)
    changed["data"]["limit"] = 4
    left = {**joined[-1], "verb": "member.left", "data": {"user": joined[-1]["data"]["user"]}}
    forgery.events.insert(forgery.events.index(changed), left)

    assert run_checker(forgery.write(tmp_path)).returncode == 0


def test_changes_of_before_are_held_against_ten_members(forgery, refuses, tmp_path):
    changed = change(forgery, "community.rule_changed", poll=False)
    del changed["data"]["limit"]
    joined = next(event for event in forgery.events if event["verb"] == "member.joined")
    more = [{**joined, "data": {"user": f"user:9000{n}"}} for n in range(6)]
    place = forgery.events.index(changed)
    forgery.events[place:place] = more

    assert "takes a poll: there are 11 members, above 10" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("verb", GOVERNED)
@pytest.mark.parametrize("title", ["More?", "By irv?", "No such poll"])
def test_a_change_by_a_poll_about_something_else_is_caught(forgery, refuses, tmp_path, verb, title):
    poll = 999_999 if title.startswith("No") else int(forgery.poll(title)[0][6:-5])
    change(forgery, verb, poll=True)["data"]["poll"] = poll

    assert f"that poll:{poll} did not decide" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize(
    ("verb", "wrong"),
    [
        ("role.changed", {"to": "moderator"}),
        ("community.rule_changed", {"kind": "release"}),
        ("community.rule_changed", {"rule": None}),
    ],
)
def test_another_change_than_was_voted_on_is_caught(forgery, refuses, tmp_path, verb, wrong):
    changed = change(forgery, verb, poll=True)
    if verb == "role.changed":
        changed["data"]["from"] = "steward"
    changed["data"] |= wrong

    assert "did not decide" in refuses(forgery.write(tmp_path))


def test_the_stewardship_of_another_member_than_was_voted_on_is_caught(forgery, refuses, tmp_path):
    change(forgery, "role.changed", poll=True)["subject"] = "membership:999999"

    assert "did not decide" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("verb", GOVERNED)
def test_a_change_before_its_poll_has_passed_is_caught(forgery, refuses, tmp_path, verb):
    changed = change(forgery, verb, poll=True)
    forgery.events.remove(changed)
    subject = f"poll:{changed['data']['poll']}"
    opened = next(event for event in forgery.events if event["subject"] == subject)
    forgery.events.insert(forgery.events.index(opened), changed)

    assert "did not decide" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("verb", GOVERNED)
def test_a_poll_that_decides_twice_is_caught(forgery, refuses, tmp_path, verb):
    forgery.events.append(dict(change(forgery, verb, poll=True)))

    assert "did not decide" in refuses(forgery.write(tmp_path))


@pytest.mark.parametrize("wrong", ["nobody", "one", "another role", "another member", "too early"])
def test_a_stewardship_by_a_motion_that_did_not_carry_it_is_caught(
    forgery, refuses, tmp_path, wrong
):
    changed = change(forgery, "role.changed", motion=True)
    subject = f"motion:{changed['data']['motion']}"
    about = {event["verb"]: event for event in forgery.events if event["subject"] == subject}
    moved, carried = about["motion.moved"], about["motion.carried"]
    if wrong == "nobody":
        forgery.events.remove(carried)
    elif wrong == "one":
        carried["actor"] = moved["actor"]
    elif wrong == "too early":
        forgery.events.remove(changed)
        forgery.events.append(changed)
    else:
        moved["data"][{"another role": "role", "another member": "membership"}[wrong]] = 7

    assert ("same person moved" if wrong == "one" else "did not carry") in refuses(
        forgery.write(tmp_path)
    )


def test_an_export_names_nobody(exported):
    everything = b"".join(exported.files.values())

    assert b"Stella" not in everything
    assert b"Reader 1" not in everything


# --- canonical form -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**53 - 1,
        "",
        'é\n\t"\\\u0000\u007f\u2028😀',
        [1, [2]],
        {"b": 1, "a": {"é": 2}},
    ],
)
def test_canonical_json_is_written_as_the_site_writes_it(value):
    assert checker.canonical(value).encode() == canonical_json(value)
