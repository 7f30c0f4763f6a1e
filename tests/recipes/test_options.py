import pytest

from training_jobs import options


@pytest.mark.parametrize("recipe", sorted(options.OPTIONS))
def test_settle_accepts_every_default(recipe):
    defaults = {name: option.default for name, option in options.OPTIONS[recipe].items()}

    assert options.settle(recipe, defaults) == options.settle(recipe, {})


def test_settle_reads_each_kind():
    settled = options.settle("dpo", {"steps": 5, "learning_rate": "1e-4", "precision": "fp32"})

    assert settled.whole("steps") == 5
    assert settled.real("learning_rate") == 1e-4
    assert settled.text("precision") == "fp32"
    assert settled.whole("batch_size") == options.OPTIONS["dpo"]["batch_size"].default


@pytest.mark.parametrize(
    ("recipe", "given", "sentence"),
    [
        ("dpo", {"stpes": 5}, "no option 'stpes'"),
        ("dpo", {"steps": "5"}, "integer from 1"),
        ("dpo", {"steps": True}, "integer from 1"),
        ("dpo", {"steps": 0}, "integer from 1"),
        ("dpo", {"beta": 1}, "decimal string"),
        ("dpo", {"beta": "high"}, "decimal string"),
        ("dpo", {"beta": "NaN"}, "decimal string"),
        ("dpo", {"beta": "sNaN"}, "decimal string"),
        ("dpo", {"label_noise": "0.5"}, "decimal string"),
        ("dpo", {"precision": "fp16"}, "one of auto, bf16, fp32"),
        ("generate", {"opening": "x" * 401}, "at most 400 characters"),
        ("chat", {"use_constitution": 1}, "true or false"),
    ],
)
def test_settle_refuses_with_a_sentence(recipe, given, sentence):
    with pytest.raises(options.OptionError, match=sentence):
        options.settle(recipe, given)
