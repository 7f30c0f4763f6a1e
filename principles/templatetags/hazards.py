"""Hazards in words: `{% load hazards %}`."""

from collections.abc import Iterable

from django import template

from principles.compilation import HAZARDS

register = template.Library()


@register.filter
def hazard_names(codes: Iterable[str]) -> list[str]:
    """Return the names of hazards for people; a code that is none of ours stands for itself."""
    return [HAZARDS[code].name if code in HAZARDS else code for code in codes]
