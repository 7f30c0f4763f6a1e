import itertools

import pytest

from tests.recipes.conftest import pair_row
from training_jobs.recipes import preference_data
from training_jobs.recipes.run_directory import RecipeError


def test_training_order_shows_each_pair_once_an_epoch():
    order = preference_data.training_order(list(range(12)), batch_size=4, seed=0)

    for _ in range(3):
        seen = [index for batch in itertools.islice(order, 3) for index in batch]
        assert sorted(seen) == list(range(12))


def test_training_order_carries_a_remainder_over():
    order = preference_data.training_order([1] * 10, batch_size=4, seed=0)

    seen = [index for batch in itertools.islice(order, 5) for index in batch]

    assert sorted(seen) == sorted([*range(10), *range(10)])


def test_training_order_depends_on_the_seed_alone():
    def first(seed):
        order = preference_data.training_order(list(range(40)), batch_size=4, seed=seed)
        return list(itertools.islice(order, 25))

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_training_order_fills_batches_with_alike_lengths():
    lengths = [n % 2 * 100 for n in range(32)]

    order = preference_data.training_order(lengths, batch_size=4, seed=0)

    for batch in itertools.islice(order, 8):
        assert len({lengths[index] for index in batch}) == 1


def test_read_pairs_takes_shards_in_order_and_fills_defaults(write_pairs):
    plain = {key: pair_row(1)[key] for key in ("prompt", "chosen", "rejected")}
    directory = write_pairs([plain])
    (directory / "train-00000.parquet").rename(directory / "train-00001.parquet")
    write_pairs([pair_row(2, weight=0.5, p_chosen=0.75, surprise="ignored")])

    first, second = preference_data.read_pairs(directory, "train")

    assert (first.weight, first.p_chosen, first.principle_key) == (0.5, 0.75, "help")
    assert (second.weight, second.p_chosen, second.principle_key) == (1.0, 1.0, "")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"p_chosen": 0.4}, r"Row 2 of train-00000\.parquet has the soft label 0\.4"),
        ({"p_chosen": float("nan")}, "soft label nan"),
        ({"weight": -1.0}, "weight -1"),
        ({"weight": float("inf")}, "weight inf"),
        ({"chosen": []}, "empty chosen"),
        ({"prompt": [{"role": "user", "content": ""}]}, "empty prompt"),
    ],
)
def test_read_pairs_refuses_what_makes_no_sense(write_pairs, change, sentence):
    directory = write_pairs([pair_row(1), pair_row(2, **change)])

    with pytest.raises(RecipeError, match=sentence):
        preference_data.read_pairs(directory, "train")


def test_read_pairs_refuses_a_missing_column(write_pairs):
    row = pair_row(1)
    del row["rejected"]

    with pytest.raises(RecipeError, match="lacks the column rejected"):
        preference_data.read_pairs(write_pairs([row]), "train")


def test_read_pairs_refuses_no_shards_and_no_parquet(tmp_path):
    with pytest.raises(RecipeError, match="no train shards"):
        preference_data.read_pairs(tmp_path, "train")
    (tmp_path / "train-00000.parquet").write_text("no")
    with pytest.raises(RecipeError, match="not a Parquet file"):
        preference_data.read_pairs(tmp_path, "train")
