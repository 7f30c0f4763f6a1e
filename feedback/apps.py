"""Prompts, comparisons, labels, the review queue, and datasets."""

from django.apps import AppConfig


class FeedbackConfig(AppConfig):
    """Prompts, comparisons, labels, the review queue, and datasets."""

    name = "feedback"
