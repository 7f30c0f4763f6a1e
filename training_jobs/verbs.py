"""What the trail says happened to runs, models, evaluations and releases, in the past tense."""

from enum import StrEnum


class Verb(StrEnum):
    """Acts of the training jobs."""

    RUN_QUEUED = "run.queued"
    RUN_STARTED = "run.started"
    RUN_REQUEUED = "run.requeued"
    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    MODEL_REGISTERED = "model.registered"
    EVALUATION_RECORDED = "evaluation.recorded"
    RELEASE_PROPOSED = "release.proposed"
    RELEASE_DECIDED = "release.decided"
    CHAT_ANSWERED = "chat.answered"
