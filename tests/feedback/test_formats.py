"""Files of a dataset: what is in them, and that nothing else moves their bytes."""

import json

import pyarrow.parquet as pq
import pytest
import yaml

from feedback import formats
from governance import canonical


def vote(name, choice, strength=1, *, left=True):
    return formats.Vote(annotator=name, choice=choice, strength=strength, first_on_left=left)


def pair(n=0, votes=(), **fields):
    return formats.Pair(
        **{
            "digest": f"{n:064x}",
            "split": "train",
            "prompt": f"Question {n}?",
            "prompt_digest": f"{n:064x}",
            "first": formats.Answer("a" * 64, "First.", "1" * 64),
            "second": formats.Answer("b" * 64, "Second.", "1" * 64),
            "principle_key": "honest",
            "hazard_codes": ("S2", "S1"),
            "language": "en",
            "licence": "CC0-1.0",
            "votes": tuple(votes),
            **fields,
        }
    )


FACTS = formats.Facts(
    community="moot",
    title="Our | constitution",
    purpose="training",
    split="train",
    version_number=2,
    version_digest="f" * 64,
    principles=(("honest", "Be `honest`", "d" * 64),),
)


def test_pair_row_takes_the_side_that_more_people_chose():
    row = formats.pair_row(
        pair(
            votes=[
                vote("x", "second", 3),
                vote("y", "second", 2),
                vote("z", "first"),
                vote("w", "tie"),
            ]
        ),
        "f" * 64,
    )

    assert row["chosen"] == [{"role": "assistant", "content": "Second."}]
    assert row["rejected"] == [{"role": "assistant", "content": "First."}]
    assert row["prompt"] == [{"role": "user", "content": "Question 0?"}]
    assert row["p_chosen"] == 2 / 3
    assert (row["n_labels"], row["votes_chosen"], row["votes_rejected"]) == (4, 2, 1)
    assert (row["votes_tie"], row["votes_both_bad"], row["mean_strength"]) == (1, 0, 2.5)
    assert (row["weight"], row["hazard_codes"]) == (1.0, ["S1", "S2"])


@pytest.mark.parametrize("choices", [["tie"], ["both_bad"], ["first", "second"]])
def test_pair_row_leaves_out_equal_votes(choices):
    votes = [vote(str(n), choice) for n, choice in enumerate(choices)]

    assert formats.pair_row(pair(votes=votes), "f" * 64) is None


def many(count):
    return [
        pair(n, [vote("x", "first"), vote("y", "second" if n % 3 == 0 else "first")])
        for n in range(count)
    ]


def test_write_dataset_gives_the_same_bytes_twice(tmp_path):
    listings = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        formats.write_dataset(tmp_path / name, FACTS, iter(many(2500)))
        listings.append(canonical.directory_listing(tmp_path / name))

    assert listings[0] == listings[1]
    assert set(listings[0]) == set(formats.file_names("training"))


def test_write_dataset_writes_rows_and_groups(tmp_path):
    figures = formats.write_dataset(tmp_path, FACTS, many(2500))

    pairs = pq.ParquetFile(tmp_path / "train-00000.parquet")
    labels = pq.read_table(tmp_path / "labels-00000.parquet")
    assert pairs.metadata.num_rows == figures.pairs == 1666
    assert pairs.metadata.num_row_groups == 2
    assert pairs.schema_arrow == formats.PAIR_SCHEMA
    assert labels.num_rows == figures.labels == 5000
    assert figures.contested == 834


def test_write_dataset_refuses_the_other_split(tmp_path):
    with pytest.raises(formats.SplitLeak):
        formats.write_dataset(tmp_path, FACTS, [pair(split="evaluation")])

    assert not (tmp_path / "manifest.json").exists()


def test_write_dataset_names_every_file_in_the_manifest(tmp_path):
    formats.write_dataset(tmp_path, FACTS, many(4))

    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for name, about in manifest["files"].items():
        assert about["sha256"] == canonical.file_digest(tmp_path / name)
    assert manifest["version"] == {"number": 2, "digest": "f" * 64}
    assert manifest["figures"]["agreement"][0]["pairs"] == 4


def test_write_dataset_writes_a_card_that_the_hub_can_read(tmp_path):
    formats.write_dataset(tmp_path, FACTS, many(4))

    _, head, body = (tmp_path / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(head)
    assert card["license"] == "cc0-1.0"
    assert card["language"] == ["en"]
    assert card["configs"][0]["data_files"][0] == {"split": "train", "path": "train-00000.parquet"}
    assert "Our \\| constitution" in body


def test_write_dataset_cannot_be_made_to_write_markup_into_the_card(tmp_path):
    bad = 'x"\ntags: [evil]\n---'
    formats.write_dataset(
        tmp_path, FACTS, [pair(votes=[vote("x", "first")], licence=bad, language=bad)]
    )

    _, head, _ = (tmp_path / "README.md").read_text().split("\n---\n", 2)[0:1] * 3
    card = yaml.safe_load(head.removeprefix("---\n"))
    assert card["tags"][0] == "preference"
    assert card["license"] == "other"


def test_write_dataset_describes_every_column_in_croissant(tmp_path):
    formats.write_dataset(tmp_path, FACTS, many(4))

    croissant = json.loads((tmp_path / "croissant.json").read_text())
    files = {entry["name"]: entry["sha256"] for entry in croissant["distribution"]}
    assert files["train-00000.parquet"] == canonical.file_digest(tmp_path / "train-00000.parquet")
    columns = [f["name"].split("/")[1] for f in croissant["recordSet"][0]["field"]]
    assert columns == formats.PAIR_SCHEMA.names
    prompt = croissant["recordSet"][0]["field"][0]
    assert prompt["repeated"] is True
    assert [part["name"] for part in prompt["subField"]] == [
        "preferences/prompt/role",
        "preferences/prompt/content",
    ]


def test_held_out_datasets_name_their_files_so():
    assert formats.file_names("evaluation")[0] == "heldout-00000.parquet"
