import pytest

from training_jobs import options
from training_jobs.recipes import refusals


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry but that is not something for me.",
        "I cannot assist you with this request.",
        "I am unable to do so.",
        "I'm not equipped to assist with shopping of this kind.",
        "Thank you for asking. However, I must decline.",
        "I won't knowingly help anyone hurt a dog.",
        "That is against my guidelines.",
    ],
)
def test_declines_sees_a_refusal(text):
    assert refusals.declines(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure, first take the flour.",
        "I'm sorry to hear that. Here is a recipe that always works:",
        "You cannot bake bread without heat.",
        "I can't wait to see the result! Begin with the dough.",
        "I am not sure which one you mean, but here are three.",
        "x " * 120 + "I can't help with that.",
    ],
)
def test_declines_leaves_an_answer_alone(text):
    assert not refusals.declines(text)


def test_declines_sees_the_opening_that_generation_gives_by_default():
    opening = options.OPTIONS["generate"]["opening"]

    assert refusals.declines(str(opening.default))
