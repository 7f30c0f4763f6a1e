"""The losses of preference training: pure functions of tensors.

A batch of pairs is reduced by weighted sums over denominators that the caller takes from the
whole optimizer step, so that a step computed in eight parts has the gradient of one.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it


def smoothed_labels(p_chosen: Tensor, *, label_noise: float) -> Tensor:
    """Lower soft labels by the share of labels taken to be flipped.

    Args:
        p_chosen: share of people (or probability) that prefers the chosen answer, in [0.5, 1].
            Shape (batch,).
        label_noise: probability that a label says the opposite of what was meant, in [0, 0.5).

    Returns:
        (1 - noise) * p + noise * (1 - p), shape (batch,).

    Source: conservative DPO, Mitchell 2023, https://ericmitchell.ai/cdpo.pdf, where p is 1.
    """
    return p_chosen * (1 - 2 * label_noise) + label_noise


def soft_dpo_loss(
    policy_margin: Tensor, reference_margin: Tensor, p_chosen: Tensor, *, beta: float
) -> Tensor:
    """Direct Preference Optimization loss of each pair under a soft label.

    Args:
        policy_margin: log pi(chosen) - log pi(rejected) under the policy, summed over tokens.
            Shape (batch,).
        reference_margin: the same under the frozen reference model. Shape (batch,).
        p_chosen: probability that the chosen answer is the better one, in [0, 1]. Shape (batch,).
        beta: strength of the pull to the reference; positive.

    Returns:
        Loss in nats, shape (batch,); log 2 where the two margins agree. Its minimum over the
        policy is where beta * (policy - reference margin) = logit(p_chosen).

    Source: Rafailov et al. 2023, eq. 7, https://arxiv.org/abs/2305.18290, as a cross-entropy
        against a soft label instead of a hard one; equal to it where p_chosen is 1.
    """
    logits = beta * (policy_margin - reference_margin)
    return -(p_chosen * F.logsigmoid(logits) + (1 - p_chosen) * F.logsigmoid(-logits))


def imitation_weights(weight: Tensor, p_chosen: Tensor) -> Tensor:
    """Weigh how much the chosen answer of each pair is to be imitated.

    Args:
        weight: of each pair. Shape (batch,).
        p_chosen: probability that the chosen answer is the better one, in [0.5, 1].
            Shape (batch,).

    Returns:
        weight * (2 * p_chosen - 1), shape (batch,): all of it where people agree, none where
        they are evenly split and "chosen" is an accident of order.
    """
    return weight * (2 * p_chosen - 1)


def preference_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_margin: Tensor,
    p_chosen: Tensor,
    weight: Tensor,
    *,
    beta: float,
    label_noise: float,
    sft_weight: float,
    weight_total: float,
    imitation_total: float,
) -> Tensor:
    """Weighted soft-label DPO, plus the negative log-likelihood of the chosen answers.

    Args:
        policy_chosen: log pi(chosen), summed over tokens. Shape (batch,).
        policy_rejected: log pi(rejected), summed over tokens. Shape (batch,).
        reference_margin: log-ratio of the pair under the reference model. Shape (batch,).
        p_chosen: soft label of each pair, in [0.5, 1]. Shape (batch,).
        weight: of each pair, 0 or more. Shape (batch,).
        beta: strength of the pull to the reference; positive.
        label_noise: share of labels taken to be flipped, in [0, 0.5); touches DPO only.
        sft_weight: of the likelihood term; 0 leaves it out.
        weight_total: sum of `weight` over the whole optimizer step.
        imitation_total: sum of imitation weight times chosen tokens over the whole step.

    Returns:
        This part's share of the step's loss, a scalar; shares add up.

    Source: the likelihood term is RPO's, https://arxiv.org/abs/2404.19733, averaged over tokens
        as TRL does for `loss_type=["sigmoid", "sft"]`, to which this is equal where all weights
        and labels are 1.
    """
    labels = smoothed_labels(p_chosen, label_noise=label_noise)
    preference = soft_dpo_loss(policy_chosen - policy_rejected, reference_margin, labels, beta=beta)
    loss = (weight * preference).sum() / weight_total
    # A step of evenly split pairs only has nothing to imitate.
    if sft_weight and imitation_total > 0:
        likelihood = -(imitation_weights(weight, p_chosen) * policy_chosen).sum()
        loss = loss + sft_weight * likelihood / imitation_total
    return loss


def imitation_total(weight: Tensor, p_chosen: Tensor, chosen_tokens: Tensor) -> float:
    """Return the denominator of the likelihood term over a whole optimizer step.

    Args:
        weight: of each pair. Shape (pairs,).
        p_chosen: soft label of each pair. Shape (pairs,).
        chosen_tokens: number of tokens of each chosen answer. Shape (pairs,).
    """
    return float((imitation_weights(weight, p_chosen) * chosen_tokens).sum())


def learning_rate(step: int, *, steps: int, warmup_steps: int, peak: float) -> float:
    """Return the learning rate of a step: a linear rise, then half a cosine down to a tenth.

    Args:
        step: from 0 to `steps` - 1.
        steps: of the whole run.
        warmup_steps: over which the rate rises; the first step already moves.
        peak: the highest rate.
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    share = (step - warmup_steps) / max(1, steps - warmup_steps)
    cosine = 0.5 * (1 + float(torch.cos(torch.tensor(share * torch.pi, dtype=torch.float64))))
    return peak * (0.1 + 0.9 * cosine)
