#!/usr/bin/env python
"""Django's command line for Folkmoot."""

import json
import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line


def join_running_site() -> None:
    """Use the services of the site that runs here, where the environment names no others."""
    state = Path(os.environ.get("STATE_ROOT") or Path(__file__).resolve().parent / "var")
    running = state / "services.json"
    if running.is_file():
        for name, value in json.loads(running.read_text()).items():
            os.environ.setdefault(name, value)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    join_running_site()
    execute_from_command_line(sys.argv)
