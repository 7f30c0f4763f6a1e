"""What the trail of feedback says happened, in the past tense."""

from enum import StrEnum


class Verb(StrEnum):
    """Acts on prompts, labels, reviews and datasets."""

    PROMPT_ADDED = "prompt.added"
    PROMPTS_IMPORTED = "prompts.imported"
    RESPONSES_RECORDED = "responses.recorded"
    LABELS_RECORDED = "labels.recorded"
    CONTENT_REPORTED = "content.reported"
    REVIEW_CLAIMED = "review.claimed"
    REVIEW_UNCLAIMED = "review.unclaimed"
    REVIEW_DECIDED = "review.decided"
    DATASET_QUEUED = "dataset.queued"
    DATASET_FROZEN = "dataset.frozen"
    DATASET_FAILED = "dataset.failed"
