"""Write a community's record to a folder, for the offline checker."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.errors import RuleViolation
from governance.models import Community
from training_jobs.transparency import write_export


class Command(BaseCommand):
    """Exports the trail and everything that its digests cover."""

    help = "Write a community's record to a folder, for governance/checker.py to check."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("community", help="the community's address, such as the-library")
        parser.add_argument("directory", type=Path, help="a new or empty folder")
        parser.add_argument(
            "--listings",
            action="store_true",
            help="list the datasets' files instead of copying them, as visitors get it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        community = Community.objects.filter(slug=options["community"]).first()
        if community is None:
            raise CommandError(f"There is no community “{options['community']}”.")
        try:
            written = write_export(
                community_id=community.pk,
                directory=options["directory"],
                dataset_files=not options["listings"],
            )
        except (RuleViolation, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{written['files']} files with {written['length']} events, head {written['head']}"
        )
