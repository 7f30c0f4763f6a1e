"""The project: settings, URLs, Celery, and the embedded services of one machine."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
