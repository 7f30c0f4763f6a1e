"""The one way in which a row changes its state."""

from typing import Any

from django.db.models import Model

from governance.errors import InvalidTransition


def move(row: Model, status: str, **fields: Any) -> None:
    """Move a locked row to `status`, setting `fields` in the same write.

    The row's class has `Status`, and `NEXT`: a mapping from each state to those it leads to.

    Raises:
        InvalidTransition: `NEXT` has no such step.
    """
    current = row.status  # type: ignore[attr-defined]
    if status not in row.NEXT.get(current, set()):  # type: ignore[attr-defined]
        noun = row._meta.verbose_name  # noqa: SLF001 - Django's documented Model._meta
        raise InvalidTransition(f"This {noun} is {current}; it cannot become {status}.")
    for name, value in {"status": status, **fields}.items():
        setattr(row, name, value)
    row.save(update_fields=["status", *fields])
