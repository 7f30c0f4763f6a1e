#!/usr/bin/env python
"""Django's command line for Folkmoot."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from config import embedded


def join_running_site() -> None:
    """Use the services of the site that runs here, where the environment names no others."""
    state = Path(os.environ.get("STATE_ROOT") or Path(__file__).resolve().parent / "var")
    if {"DATABASE_URL", "CELERY_BROKER_URL"} <= os.environ.keys():
        return
    try:
        found = embedded.running(state)
    except embedded.ServiceError as error:
        sys.exit(str(error))
    for name, value in found.items():
        os.environ.setdefault(name, value)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    join_running_site()
    execute_from_command_line(sys.argv)
