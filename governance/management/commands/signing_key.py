"""`manage.py signing_key`: show the key that signs this installation's trails."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from governance import signing


class Command(BaseCommand):
    """Makes the key where there is none, and never shows its private half."""

    help = "Show the public key with which trails are signed; make it where there is none yet."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(signing.public_key())
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Its private half is in {settings.SIGNING_KEY_FILE}; keep a copy.")
