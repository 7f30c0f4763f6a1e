import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_jobs.manifest import Input, Manifest, ManifestError


def manifest(**changes):
    fields = {
        "recipe": "dpo",
        "seed": 7,
        "code_revision": "abc",
        "packages": {"torch": "2.13.0"},
        "inputs": {"model": Input(digest="0" * 64, name="SmolLM2")},
        "options": {"steps": 30, "learning_rate": "0.00003", "shuffle": True},
    }
    return Manifest(**{**fields, **changes})


def test_write_and_read_give_the_same_manifest_and_digest(tmp_path):
    manifest().write(tmp_path)

    assert Manifest.read(tmp_path) == manifest()
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    content = (tmp_path / "manifest.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest().digest


def test_digest_is_the_same_for_any_order_of_keys():
    turned = manifest(options=dict(reversed(manifest().options.items())))

    assert turned.digest == manifest().digest
    assert manifest(seed=8).digest != manifest().digest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema": "folkmoot.run/2"}, "schema is 'folkmoot.run/2'"),
        ({"recipe": "../dpo"}, "no name of a recipe"),
        ({"seed": -1}, "integer of 0 or more"),
        ({"seed": True}, "integer of 0 or more"),
        ({"seed": "1"}, "integer of 0 or more"),
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"packages": {"torch": 2}}, "version of 'torch' must be a string"),
        ({"packages": []}, "packages must be an object"),
        ({"options": {"learning_rate": 0.1}}, "'learning_rate' is a float"),
        ({"options": {"steps": None}}, "'steps' is a NoneType"),
        ({"options": {"steps": 2**60}}, "no digest"),
        ({"inputs": {"model": "abc"}}, "must be an object"),
        ({"inputs": {"a/b": {"digest": "0" * 64, "name": "x"}}}, "plain file name"),
        ({"inputs": {"..": {"digest": "0" * 64, "name": "x"}}}, "plain file name"),
        ({"inputs": {"m": {"digest": "0" * 63, "name": "x"}}}, "64 lower-case hexadecimal"),
        ({"inputs": {"m": {"digest": "0" * 64}}}, "lacks the field 'name'"),
        ({"inputs": {"m": {"digest": "0" * 64, "name": "x", "y": 1}}}, "unknown field 'y'"),
    ],
)
def test_from_dict_refuses_with_a_sentence(change, sentence):
    with pytest.raises(ManifestError, match=sentence):
        Manifest.from_dict({**manifest().to_dict(), **change})


def test_from_dict_refuses_a_missing_field():
    value = manifest().to_dict()
    del value["seed"]

    with pytest.raises(ManifestError, match="lacks the field 'seed'"):
        Manifest.from_dict(value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "must be an object"),
        (b'{"seed": 1, "seed": 2}', "names 'seed' twice"),
    ],
)
def test_read_refuses_what_is_no_manifest(tmp_path, content, sentence):
    (tmp_path / "manifest.json").write_bytes(content)

    with pytest.raises(ManifestError, match=sentence):
        Manifest.read(tmp_path)


def test_read_names_a_missing_manifest(tmp_path):
    with pytest.raises(ManifestError, match=r"no manifest\.json"):
        Manifest.read(tmp_path)


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), st.text(max_size=8), st.booleans()),
    )
)
def test_from_dict_reads_what_to_dict_writes(options):
    value = manifest(options=options)

    assert Manifest.from_dict(json.loads(json.dumps(value.to_dict()))) == value
