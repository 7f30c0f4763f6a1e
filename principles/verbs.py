"""What the trail of principles says happened, in the past tense."""

from enum import StrEnum


class Verb(StrEnum):
    """Acts of drafting and of ratification."""

    DRAFT_CREATED = "draft.created"
    DRAFT_EDITED = "draft.edited"
    PRINCIPLE_SET = "draft.principle_set"
    PRINCIPLE_REMOVED = "draft.principle_removed"
    PRINCIPLE_MOVED = "draft.principle_moved"
    DRAFT_WITHDRAWN = "draft.withdrawn"
    DRAFT_PROPOSED = "draft.proposed"
    DRAFT_REJECTED = "draft.rejected"
    DRAFT_GIVEN_BACK = "draft.given_back"
    VERSION_RATIFIED = "version.ratified"
