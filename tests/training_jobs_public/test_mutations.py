"""Random changes of an export, one at a time, from fixed seeds: the checker finds each of them.

A change is tried in three ways. *As it is*, index.json tells. With index.json *recomputed*, the
formats and the chain tell. With the whole chain made anew, only the signatures, and the checks of
meaning, are left; *signed again* with the site's own key, the checks of meaning alone.
"""

import io
import json
import random
import warnings
import zipfile

import pytest

from governance.canonical import canonical_json, digest
from governance.rules import Rule
from governance.tally import tally_poll
from tests.training_jobs_public.forging import Forgery, stranger

pytestmark = pytest.mark.django_db  # the export is made from a database

FLIPS = 120
ROUNDS = 6


@pytest.fixture
def refuses_files(exported, refuses, tmp_path):
    """Return a function that sees files fail as an export: as a zip file, which is quick."""

    def check(files):
        path = tmp_path / "record.zip"
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
            warnings.simplefilter("ignore", UserWarning)
            for name, content in files.items():
                info = zipfile.ZipInfo(name)
                info.external_attr, info.create_system = 0o100644 << 16, 3
                archive.writestr(info, content)
        return refuses(path)

    return check


def flipped(content, dice):
    changed = bytearray(content)
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def polls(forgery, **rule):
    """Return the names of closed polls whose rules have these parts, and who have ballots."""
    return [
        name
        for name in sorted(forgery.files)
        if name.startswith("polls/")
        and forgery.read(name)["ballots"]
        and rule.items() <= forgery.read(name)["rule"].items()
    ]


# --- bytes ----------------------------------------------------------------------------------------


def test_a_random_bit_of_any_file_is_noticed(exported, refuses_files):
    dice = random.Random(1)
    for _ in range(FLIPS):
        name = dice.choice(sorted(exported.files))
        refuses_files({**exported.files, name: flipped(exported.files[name], dice)})


def test_a_random_bit_of_any_file_is_noticed_with_the_index_recomputed(exported, refuses_files):
    dice = random.Random(2)
    for _ in range(FLIPS):
        forgery = Forgery(exported)
        name = dice.choice(sorted(set(exported.files) - {"index.json"}))
        forgery.files[name] = flipped(forgery.files[name], dice)
        forgery.reindex()
        refuses_files(forgery.files)


def test_a_random_bit_of_the_zip_file_is_noticed(exported, refuses, tmp_path):
    dice, path = random.Random(3), tmp_path / "record.zip"
    for _ in range(FLIPS):
        path.write_bytes(flipped(exported.archive, dice))
        refuses(path)


def test_a_random_bit_of_a_checkpoint_is_noticed(exported, refuses_files):
    dice = random.Random(4)
    for _ in range(FLIPS // 2):
        forgery = Forgery(exported)
        content = forgery.files["checkpoints.jsonl"]
        forgery.files["checkpoints.jsonl"] = flipped(content, dice)
        forgery.reindex()
        refuses_files(forgery.files)


def test_a_file_left_out_put_in_or_swapped_is_noticed(exported, refuses_files):
    dice = random.Random(5)
    names = sorted(set(exported.files) - {"index.json"})
    for name in names:
        forgery = Forgery(exported)
        del forgery.files[name]
        forgery.reindex()
        refuses_files(forgery.files)
    for _ in range(ROUNDS):
        one, other = dice.sample(names, 2)
        forgery = Forgery(exported)
        forgery.files |= {one: forgery.files[other], other: forgery.files[one]}
        forgery.reindex()
        refuses_files(forgery.files)
        forgery = Forgery(exported)
        forgery.files[f"{other}.more"] = forgery.files[one]
        forgery.reindex()
        refuses_files(forgery.files)


# --- lines of the trail, with the index recomputed ------------------------------------------------


def _in_event(**given):
    def change(lines, n):
        link = json.loads(lines[n])
        lines[n] = canonical_json({**link, "event": {**link["event"], **given}}) + b"\n"

    return change


def _swap(lines, n):
    lines[n - 1 : n + 1] = lines[n], lines[n - 1]


LINES = {
    "swapped": _swap,
    "dropped": lambda lines, n: lines.pop(n),
    "doubled": lambda lines, n: lines.insert(n, lines[n]),
    "another actor": _in_event(actor="user:999999"),
    "another time": _in_event(at="2001-01-01T00:00:00.000000Z"),
    "another subject": _in_event(subject="poll:999999"),
    "other data": _in_event(data={"more": 1}),
}


@pytest.mark.parametrize("change", LINES)
def test_a_changed_line_of_the_trail_is_noticed(exported, refuses_files, change):
    dice = random.Random(f"line {change}")
    for _ in range(ROUNDS):
        forgery = Forgery(exported)
        lines = list(io.BytesIO(forgery.files["trail.jsonl"]))
        LINES[change](lines, dice.randrange(1, len(lines)))
        forgery.files["trail.jsonl"] = b"".join(lines)
        forgery.reindex()
        refuses_files(forgery.files)


# --- the meaning, whatever is recomputed ----------------------------------------------------------


def _ballot(content, events, dice):
    content["ballots"].pop(dice.randrange(len(content["ballots"])))


def _ballot_twice(content, events, dice):
    content["ballots"].append(dice.choice(content["ballots"]))


def _batch_entry(content, events, dice):
    batch = dice.choice(content["batches"])
    batch.pop(dice.randrange(len(batch)))


def _batch_entry_twice(content, events, dice):
    batch = dice.choice(content["batches"])
    batch.append(dice.choice(batch))


def _act(content, events, dice):
    entry = dice.choice(dice.choice(content["batches"]))
    entry[1] = "withdrawn" if entry[1] != "withdrawn" else "cast"


def _voter(content, events, dice):
    dice.choice(dice.choice(content["batches"]))[0] = f"{dice.getrandbits(128):032x}"


def _nonce(content, events, dice):
    dice.choice(content["ballots"])[2] = f"{dice.getrandbits(128):032x}"


def _elector(content, events, dice):
    content["electorate"].pop(dice.randrange(len(content["electorate"])))


def _weight(content, events, dice):
    dice.choice(content["electorate"])[1] += dice.randint(1, 9)


def _rule(content, events, dice):
    content["rule"] |= {"threshold": [1, 1], "strict": False, "base": "eligible"}


def _method(content, events, dice):
    content["rule"]["method"] = "borda"


def _option(content, events, dice):
    dice.choice(content["options"])["key"] = "another"


def _text(content, events, dice):
    content["text"] += dice.choice("!?. ")


def _tally(content, events, dice):
    content["tally"]["cast"] += dice.choice([-1, 1])


def _outcome(content, events, dice):
    left = {"passed", "rejected", "no_quorum", "tied"} - {content["outcome"]}
    content["outcome"] = dice.choice(sorted(left))


POLLS = {
    "a ballot dropped": (_ballot, {}),
    "a ballot doubled": (_ballot_twice, {}),
    "a batch entry dropped": (_batch_entry, {}),
    "a batch entry doubled": (_batch_entry_twice, {}),
    "another act": (_act, {}),
    "another voter": (_voter, {}),
    "another nonce": (_nonce, {"secrecy": "roll_call"}),
    "an elector dropped": (_elector, {}),
    "another weight": (_weight, {}),
    "another rule": (_rule, {}),
    "another method": (_method, {"method": "irv", "secrecy": "roll_call"}),
    "another option": (_option, {"method": "score"}),
    "another text": (_text, {}),
    "another tally": (_tally, {}),
    "another outcome": (_outcome, {}),
}


@pytest.mark.parametrize("change", POLLS)
def test_a_changed_poll_is_noticed(exported, refuses_files, tmp_path, change):
    apply, rule = POLLS[change]
    dice = random.Random(f"poll {change}")
    for how in ("index", "signed again") * (ROUNDS // 2):
        forgery = Forgery(exported)
        title = forgery.read(dice.choice(polls(forgery, **rule)))["title"]
        name, content, events = forgery.poll(title)
        apply(content, events, dice)
        if how == "index":
            forgery.put(name, content)
            forgery.reindex()
        else:
            _agree(forgery, name, content, events, change)
            forgery.write(tmp_path / f"{dice.getrandbits(64)}")
        refuses_files(forgery.files)


def _agree(forgery, name, content, events, change):
    """Let the events agree with a changed poll, except where that would be another honest poll."""
    if change in {"another rule", "an elector dropped", "another weight", "another text"}:
        forgery.put(name, content)
    else:
        forgery.put_poll(name, content, events)
        told = {key: content[key] for key in ("tally", "outcome")}
        events["poll.closed"]["data"] |= told


EVENTS = {
    "a moved deadline": ("poll.opened", {"closes_at": "2999-12-31T23:59:59.000000Z"}),
    "another seed": ("poll.closed", {"seed": "0" * 64}),
    "a motion made up": ("poll.closed", {"motion": 999_999}),
    "a batch's digest": ("ballots.recorded", {"digest": "0" * 64}),
    "a batch's number": ("ballots.recorded", {"batch": 9}),
    "a batch's count": ("ballots.recorded", {"count": 99}),
    "another key": (
        "key.announced",
        {"public_key": stranger().public_key().public_bytes_raw().hex()},
    ),
    "another version": ("version.ratified", {"digest": "0" * 64}),
    "another model": ("model.registered", {"digest": "0" * 64}),
}


@pytest.mark.parametrize("change", EVENTS)
def test_a_changed_event_is_noticed_though_it_is_signed_again(
    exported, refuses_files, tmp_path, change
):
    verb, given = EVENTS[change]
    dice = random.Random(f"event {change}")
    for n in range(2):
        forgery = Forgery(exported)
        dice.choice([e for e in forgery.events if e["verb"] == verb])["data"] |= given
        forgery.write(tmp_path / str(n))
        refuses_files(forgery.files)


# --- forged so well that only a signature tells ---------------------------------------------------


def _turn_a_ballot_round(forgery, dice):
    """Change how somebody voted, with all that follows from it, down to the tally."""
    name, content, events = forgery.poll(dice.choice(["More?", "Less?", "Extended?"]))
    ballot = dice.choice(content["ballots"])
    ballot[1] = {"yes": "no", "no": "yes", "abstain": "yes"}[ballot[1]]
    entries = [entry for batch in content["batches"] for entry in batch if entry[0] == ballot[0]]
    entries[-1][2] = digest(ballot)
    rule = Rule.from_dict(content["rule"])
    cast = [(said, 1, "") for _, said, _ in content["ballots"]]
    tally = tally_poll(rule, ballots=cast, electorate=len(content["electorate"])).to_dict()
    forgery.put_poll(name, content, events)
    forgery.put_tally(name, content, events, **tally)


@pytest.mark.parametrize("whose", ["nobody", "stranger", "stranger as the site"])
def test_a_forged_poll_is_told_by_its_signature(exported, refuses_files, tmp_path, whose):
    dice = random.Random(f"forged {whose}")
    for n in range(ROUNDS):
        forgery = Forgery(exported)
        _turn_a_ballot_round(forgery, dice)
        forgery.write(tmp_path / str(n), sign=False)
        if whose != "nobody":
            head = forgery.read("head.json")
            signed = forgery.sign(head["head"], head["length"], key=stranger())
            if whose == "stranger as the site":
                signed["public_key"] = json.loads(exported.files["checkpoints.jsonl"])["public_key"]
            forgery.put_lines("checkpoints.jsonl", [signed])
            forgery.reindex()
        assert "heckpoint 1 " in refuses_files(forgery.files)


def test_a_ballot_turned_round_with_the_sites_own_key_is_what_a_note_of_the_head_tells(
    exported, refuses, run_checker, tmp_path
):
    noted = json.loads(exported.files["head.json"])["head"]
    forgery = Forgery(exported)
    _turn_a_ballot_round(forgery, random.Random(6))
    path = forgery.write(tmp_path)

    assert run_checker(path).returncode == 0
    assert "was never the head" in refuses(path, "--head", noted)


def test_a_history_forged_from_its_first_event_on_is_told_by_a_key_noted_before(
    exported, refuses, run_checker, tmp_path
):
    """Whoever forges the announcement of the key, too, has to be asked for the site's own."""
    forgery = Forgery(exported)
    public = stranger().public_key().public_bytes_raw().hex()
    forgery.event("key.announced")["data"]["public_key"] = public
    forgery.events[1]["actor"] = "user:999999"
    forgery.chain()
    head = forgery.read("head.json")
    signed = forgery.sign(head["head"], head["length"], key=stranger())
    forgery.put_lines("checkpoints.jsonl", [signed])
    forgery.reindex()
    path = exported.write(tmp_path, forgery.files)
    site = json.loads(exported.files["checkpoints.jsonl"])["public_key"]

    assert run_checker(path).returncode == 0
    assert "not among those given" in refuses(path, "--key", site)
