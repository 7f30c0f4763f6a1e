"""API tokens: one for each person, shown once, kept as a digest, and gone after a while."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from governance.models import ApiToken, User

RANDOM_BYTES = 32


def make(*, actor: User) -> str:
    """Make `actor` a token, in place of the one they had, and return it: nobody can read it later.

    It ends after `API_TOKEN_DAYS`, and when they change their password, as their sessions do.
    """
    token = secrets.token_urlsafe(RANDOM_BYTES)
    now = timezone.now()
    ApiToken.objects.update_or_create(
        user=actor,
        defaults={
            "digest": _digest(token),
            "password_mark": actor.get_session_auth_hash(),
            "made_at": now,
            "expires_at": now + timedelta(days=settings.API_TOKEN_DAYS),
        },
    )
    return token


def revoke(*, actor: User) -> None:
    """End `actor`'s token; without one, nothing happens."""
    ApiToken.objects.filter(user=actor).delete()


def current(user: User) -> ApiToken | None:
    """Return what is known of a person's token, where it still opens the API."""
    kept = ApiToken.objects.filter(user=user).first()
    return kept if kept is not None and _holds(kept, user) else None


def holder(token: str) -> User | None:
    """Return whose token this is, while it holds and the person is active."""
    kept = ApiToken.objects.filter(digest=_digest(token)).select_related("user").first()
    if kept is None or not kept.user.is_active or not _holds(kept, kept.user):
        return None
    return kept.user


def _holds(kept: ApiToken, user: User) -> bool:
    return kept.expires_at > timezone.now() and constant_time_compare(
        kept.password_mark, user.get_session_auth_hash()
    )


def _digest(token: str) -> str:
    # A token is as random as a key, so that a plain digest hides it as well as a slow one would.
    return hashlib.sha256(token.encode()).hexdigest()
