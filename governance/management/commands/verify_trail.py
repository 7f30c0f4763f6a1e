"""`manage.py verify_trail [SLUG…]`: re-compute audit trails from the tables."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance import audit
from governance.models import AuditEvent, Community, Trail


class Command(BaseCommand):
    """Exits with 1 when a trail is broken, naming its first event that does not hold."""

    help = "Re-compute the audit trails of the named communities, or of all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the communities' slugs."""
        parser.add_argument("slugs", nargs="*", metavar="SLUG", help="a community; all if none")

    def handle(self, *args: Any, slugs: list[str], **options: Any) -> None:
        """Say for each community whether its trail holds."""
        communities = Community.objects.order_by("slug")
        if slugs:
            communities = communities.filter(slug__in=slugs)
            unknown = set(slugs) - set(communities.values_list("slug", flat=True))
            if unknown:
                raise CommandError(f"There is no community {', '.join(sorted(unknown))}.")
        broken = [
            slug for slug, pk in communities.values_list("slug", "pk") if self._fails(slug, pk)
        ]
        if broken:
            sys.exit(1)

    def _fails(self, slug: str, community_id: int) -> bool:
        if not Trail.objects.filter(community_id=community_id).exists():
            self.stderr.write(f"{slug}: has no trail")
            return True
        place = audit.first_broken(community_id)
        if place is None:
            trail = Trail.objects.get(community_id=community_id)
            self.stdout.write(f"{slug}: {trail.length} events hold, head {trail.head}")
            return False
        event = AuditEvent.objects.filter(community_id=community_id, seq=place).first()
        what = f"{event.verb} {event.subject}, {event.at}" if event else "missing at the end"
        self.stderr.write(f"{slug}: event {place} does not hold ({what})")
        return True
