"""The installation's signature: one Ed25519 key, made once, with which heads of trails are signed.

The private key lies in the file SIGNING_KEY_FILE, in PEM, readable by its owner alone. Whoever has
it can sign in this installation's name; whoever changes the database without it cannot.
"""

import os
import secrets
from functools import cache
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def sign(content: bytes) -> str:
    """Return the installation's signature of these bytes, as 128 hexadecimal digits."""
    return _key(settings.SIGNING_KEY_FILE).sign(content).hex()


def public_key() -> str:
    """Return the key with which anyone can check `sign`, as 64 hexadecimal digits."""
    return _key(settings.SIGNING_KEY_FILE).public_key().public_bytes_raw().hex()


@cache
def _key(path: Path) -> Ed25519PrivateKey:
    """Read the key once for each process; the first process of an installation makes it.

    Raises:
        ImproperlyConfigured: the file cannot be read or made, or holds no such key.
    """
    try:
        if not path.exists():
            _make(path)
        content = path.read_bytes()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The signing key {path} can be neither read nor made: {error.strerror}."
        ) from error
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ImproperlyConfigured(f"{path} does not hold an Ed25519 key in PEM, unencrypted.")
    return key


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; where another process was first, theirs stays."""
    content = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link appears with all that the file holds, and never over one that is there.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
