import pytest

from governance import outcomes
from governance.models import Poll


def test_register_takes_a_kind_once(monkeypatch):
    monkeypatch.setattr(outcomes, "_kinds", dict(outcomes._kinds))
    kind = outcomes.PollKind(name="feast", label="Feast")

    outcomes.register(kind)
    outcomes.register(kind)

    assert outcomes.kind_of(Poll(kind="feast")) == kind
    with pytest.raises(ValueError, match="registered twice"):
        outcomes.register(outcomes.PollKind(name="feast", label="Fast"))


def test_kind_of_an_unknown_poll_is_a_bug():
    with pytest.raises(KeyError):
        outcomes.kind_of(Poll(kind="unheard-of"))


def test_the_plain_question_has_a_label_and_no_page():
    poll = Poll(kind="question")

    assert (poll.kind_label, poll.subject_url) == ("Question", "")
