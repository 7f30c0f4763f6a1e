import math

import pytest
import torch

from training_jobs.recipes import language_model, preference_loss
from training_jobs.recipes.language_model import Pair

PAIRS = [
    Pair([5, 6, 7], [8, 9, 10, 2], [11, 12, 2]),
    Pair([5, 6], [13, 2], [14, 15, 16, 17, 2]),
    Pair([18, 19, 20, 21], [22, 23, 2], [24, 2]),
    Pair([25], [26, 2], [27, 28, 29, 2]),
    Pair([5, 6, 7], [8, 2], [11, 2]),
    Pair([30, 31], [32, 33, 34, 2], [35, 36, 2]),
    Pair([37, 38, 39], [40, 41, 2], [42, 43, 44, 2]),
    Pair([45, 46], [47, 2], [48, 2]),
]
LOSS = {"beta": 0.3, "label_noise": 0.0, "sft_weight": 0.0}


def loaded(directory, **changes):
    model = language_model.load_model(
        directory, dtype=changes.get("dtype", torch.float32), device=torch.device("cpu")
    )
    return model.requires_grad_(requires_grad=True)


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def step(model, margins, *, size, weight=None, p_chosen=None, **options):
    """One optimizer step's loss and gradients, computed `size` pairs at a time."""
    weight = torch.ones(len(PAIRS)) if weight is None else weight
    p_chosen = torch.ones(len(PAIRS)) if p_chosen is None else p_chosen
    tokens = torch.tensor([float(len(pair.chosen)) for pair in PAIRS])
    model.zero_grad()
    total = 0.0
    for at in range(0, len(PAIRS), size):
        part = slice(at, at + size)
        batch = language_model.lay_out(PAIRS[part], pad_id=2, device=torch.device("cpu"))
        scores = language_model.pair_log_probs(model, batch)
        loss = preference_loss.preference_loss(
            scores.chosen,
            scores.rejected,
            margins[part],
            p_chosen[part],
            weight[part],
            weight_total=float(weight.sum()),
            imitation_total=preference_loss.imitation_total(weight, p_chosen, tokens),
            **{**LOSS, **options},
        )
        loss.backward()
        total += float(loss.detach())
    return total, gradients(model)


def plain_log_probs(model, prompt, completion):
    """The same figure by the shortest road: one row, one completion, all logits."""
    logits = model(input_ids=torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
    return sum(logits[len(prompt) - 1 + place, token] for place, token in enumerate(completion))


def test_pair_log_probs_equals_one_row_at_a_time(tiny_model):
    model = loaded(tiny_model)
    batch = language_model.lay_out(PAIRS, pad_id=2, device=torch.device("cpu"))

    scores = language_model.pair_log_probs(model, batch)

    for row, pair in enumerate(PAIRS):
        chosen = plain_log_probs(model, pair.prompt, pair.chosen)
        rejected = plain_log_probs(model, pair.prompt, pair.rejected)
        torch.testing.assert_close(scores.chosen[row], chosen, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(scores.rejected[row], rejected, rtol=1e-5, atol=1e-5)


def test_soft_dpo_loss_of_hand_worked_cases():
    def loss(policy, reference, p):
        values = [torch.tensor([value], dtype=torch.float64) for value in (policy, reference, p)]
        return float(preference_loss.soft_dpo_loss(*values, beta=0.5))

    # Margins agree: log 2 whatever people say.
    assert loss(3.0, 3.0, 1.0) == pytest.approx(math.log(2))
    assert loss(3.0, 3.0, 0.7) == pytest.approx(math.log(2))
    # beta * (4 - 2) = 1, and sigmoid(1) = 0.731059.
    assert loss(4.0, 2.0, 1.0) == pytest.approx(-math.log(0.7310585786))
    assert loss(4.0, 2.0, 0.75) == pytest.approx(
        -0.75 * math.log(0.7310585786) - 0.25 * math.log(0.2689414214)
    )


def test_soft_dpo_loss_is_least_where_the_policy_says_what_people_say():
    p = 0.8
    best = math.log(p / (1 - p)) / 0.5
    margins = torch.tensor([best - 0.1, best, best + 0.1], dtype=torch.float64)

    losses = preference_loss.soft_dpo_loss(
        margins, torch.zeros(3, dtype=torch.float64), torch.full((3,), p), beta=0.5
    )

    assert int(losses.argmin()) == 1


def test_smoothed_labels_equals_conservative_dpo():
    labels = preference_loss.smoothed_labels(torch.tensor([1.0, 0.75, 0.5]), label_noise=0.1)

    torch.testing.assert_close(labels, torch.tensor([0.9, 0.7, 0.5]))


def test_preference_loss_weighs_pairs_by_hand():
    # Two pairs at log 2 and one at -log sigmoid(1), weights 1, 1 and 2.
    loss = preference_loss.preference_loss(
        torch.tensor([0.0, 0.0, 2.0]),
        torch.zeros(3),
        torch.zeros(3),
        torch.ones(3),
        torch.tensor([1.0, 1.0, 2.0]),
        beta=0.5,
        label_noise=0.0,
        sft_weight=0.0,
        weight_total=4.0,
        imitation_total=4.0,
    )

    assert float(loss) == pytest.approx((2 * math.log(2) - 2 * math.log(0.7310586)) / 4, abs=1e-6)


def test_preference_loss_imitates_by_agreement():
    # Log-probs -6 over 3 tokens (agreed) and -8 over 2 tokens (evenly split: not imitated).
    with_sft, without = (
        preference_loss.preference_loss(
            torch.tensor([-6.0, -8.0]),
            torch.tensor([-6.0, -8.0]),
            torch.zeros(2),
            torch.tensor([1.0, 0.5]),
            torch.ones(2),
            beta=0.5,
            label_noise=0.0,
            sft_weight=sft_weight,
            weight_total=2.0,
            imitation_total=3.0,
        )
        for sft_weight in (0.5, 0.0)
    )

    assert float(with_sft - without) == pytest.approx(0.5 * 6 / 3)


def test_a_weight_of_two_equals_the_pair_given_twice(tiny_model):
    model = loaded(tiny_model)
    margins = torch.zeros(len(PAIRS))
    weight = torch.tensor([2.0, 1, 1, 1, 1, 1, 1, 1])
    once = step(model, margins, size=8, weight=weight, sft_weight=1.0)
    doubled = [PAIRS[0], *PAIRS]
    batch = language_model.lay_out(doubled, pad_id=2, device=torch.device("cpu"))
    tokens = torch.tensor([float(len(pair.chosen)) for pair in doubled])
    model.zero_grad()
    scores = language_model.pair_log_probs(model, batch)
    ones = torch.ones(9)
    loss = preference_loss.preference_loss(
        scores.chosen, scores.rejected, torch.zeros(9), ones, ones,
        weight_total=9.0, imitation_total=float(tokens.sum()), **{**LOSS, "sft_weight": 1.0},
    )  # fmt: skip
    loss.backward()

    assert float(loss.detach()) == pytest.approx(once[0], abs=1e-5)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, once[1][name], rtol=1e-4, atol=1e-5)


def test_preference_loss_passes_gradcheck():
    torch.manual_seed(1)
    chosen, rejected = (torch.randn(4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    fixed = [torch.randn(4, dtype=torch.float64)]
    fixed += [torch.rand(4, dtype=torch.float64) * 0.5 + 0.5, torch.rand(4, dtype=torch.float64)]

    def loss(first, second):
        return preference_loss.preference_loss(
            first, second, *fixed,
            beta=0.7, label_noise=0.1, sft_weight=0.5, weight_total=2.0, imitation_total=3.0,
        )  # fmt: skip

    assert torch.autograd.gradcheck(loss, (chosen, rejected))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_step_in_parts_has_the_gradient_of_one(tiny_model, size):
    model = loaded(tiny_model)
    torch.manual_seed(2)
    given = {
        "weight": torch.rand(8) + 0.5,
        "p_chosen": torch.rand(8) * 0.5 + 0.5,
        "sft_weight": 1.0,
        "label_noise": 0.1,
    }
    margins = torch.randn(8)

    whole = step(model, margins, size=8, **given)
    parts = step(model, margins, size=size, **given)

    assert parts[0] == pytest.approx(whole[0], rel=1e-5)
    for name, gradient in whole[1].items():
        torch.testing.assert_close(parts[1][name], gradient, rtol=1e-3, atol=1e-5)


@pytest.fixture(scope="module")
def trl_trainer(tiny_model, tmp_path_factory):
    """TRL's DPO trainer on the tiny model, as the oracle of our loss."""
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    rows = [{"prompt": "a", "chosen": "b", "rejected": "c"}]

    def make(loss_type, loss_weights):
        return trl.DPOTrainer(
            model=loaded(tiny_model),
            ref_model=loaded(tiny_model),
            args=trl.DPOConfig(
                output_dir=str(tmp_path_factory.mktemp("trl")),
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                beta=LOSS["beta"],
                loss_type=loss_type,
                loss_weights=loss_weights,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=language_model.load_tokenizer(tiny_model),
        )

    return make


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("loss_type", "loss_weights", "sft_weight"),
    [(["sigmoid"], None, 0.0), (["sigmoid", "sft"], [1.0, 0.5], 0.5)],
)
def test_loss_and_gradients_equal_those_of_trl(
    tiny_model, trl_trainer, loss_type, loss_weights, sft_weight
):
    trainer = trl_trainer(loss_type, loss_weights)
    ours = loaded(tiny_model)
    # The policy has moved away from the reference, or every margin would be zero.
    torch.manual_seed(3)
    for mine, theirs in zip(ours.parameters(), trainer.model.parameters(), strict=True):
        shift = 0.05 * torch.randn_like(mine)
        mine.data += shift
        theirs.data += shift
    batch = language_model.lay_out(PAIRS, pad_id=2, device=torch.device("cpu"))
    with torch.no_grad():
        reference = language_model.pair_log_probs(loaded(tiny_model), batch)
    examples = [
        {"prompt_ids": pair.prompt, "chosen_ids": pair.chosen, "rejected_ids": pair.rejected}
        for pair in PAIRS
    ]

    loss, gradient = step(
        ours, reference.chosen - reference.rejected, size=8, sft_weight=sft_weight
    )
    trainer.model.train()
    expected = trainer.compute_loss(trainer.model, trainer.data_collator(examples))
    expected.backward()

    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, value in gradients(trainer.model).items():
        torch.testing.assert_close(gradient[name], value, rtol=1e-3, atol=1e-5)


def test_learning_rate_rises_then_falls_to_a_tenth():
    rates = [
        preference_loss.learning_rate(step, steps=12, warmup_steps=3, peak=1.0)
        for step in range(12)
    ]

    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert preference_loss.learning_rate(12, steps=12, warmup_steps=3, peak=1.0) == pytest.approx(
        0.1
    )
