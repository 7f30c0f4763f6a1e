"""Typed readers of environment variables, which refuse nonsense by name."""

import os
from collections.abc import Sequence
from fractions import Fraction
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_MISSING = object()
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def _read(name: str, default: object) -> object:
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is _MISSING:
        raise ImproperlyConfigured(f"Set {name}: it has no default here.")
    return default


def text(name: str, default: object = _MISSING) -> str:
    """Read a string; without a default the variable must be set."""
    return str(_read(name, default))


def integer(name: str, default: object = _MISSING, *, minimum: int = 0) -> int:
    """Read a whole number that is not below `minimum`."""
    value = _read(name, default)
    try:
        number = int(str(value))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number.") from error
    if number < minimum:
        raise ImproperlyConfigured(f"{name} is {number}; it must be at least {minimum}.")
    return number


def share(name: str, default: object = _MISSING) -> Fraction:
    """Read a share from 0 to 1, written exactly: 1/2 or 0.5."""
    value = text(name, default)
    try:
        number = Fraction(value)
    except (ValueError, ZeroDivisionError) as error:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be a share such as 1/2."
        ) from error
    if not 0 <= number <= 1:
        raise ImproperlyConfigured(f"{name} is {value}; it must lie between 0 and 1.")
    return number


def boolean(name: str, default: object = _MISSING) -> bool:
    """Read a yes or no: 1/0, true/false, yes/no or on/off."""
    value = str(_read(name, default)).lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; it must be yes or no.")


def words(name: str, default: Sequence[str] | object = _MISSING) -> list[str]:
    """Read a comma-separated list; white space and empty items are dropped."""
    value = _read(name, default)
    items = value.split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]
    return [item.strip() for item in items if item.strip()]


def addresses(name: str, default: object = _MISSING) -> list[str]:
    """Read a list of web addresses that may be sent to: over TLS, or on this machine."""
    found = words(name, default)
    for address in found:
        if not _may_be_sent_to(address):
            raise ImproperlyConfigured(
                f"{name} has {address!r}; it takes https addresses, and http ones of this machine."
            )
    return found


def _may_be_sent_to(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        if parts.scheme != "http":
            return parts.scheme == "https" and bool(host) and parts.port != 0
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def choice(name: str, allowed: Sequence[str], default: object = _MISSING) -> str:
    """Read one of a few words."""
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    return value
