"""The address of the books: where it may come from, and how it is shown without what is secret in it.

An address of MongoDB may carry a password, and whoever reads that can write the books. On a command line everybody on
the machine can read it, so it may also stand in a file or in the environment, which only its owner can.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from peers.errors import SettingsError

ENVIRONMENT = "BAZAAR_MONGO"
"""The variable that names the books where no option does; like `--mongo`, an address or `@FILE`."""

_HIDDEN = "***"
# This reaches to the last @: one in a password should be escaped, and the password stays hidden if it is not.
_PASSWORD = re.compile(r"""(mongodb(?:\+srv)?://[^\s"'@:/]*):[^\s"']*@""")
_SECRET_OPTIONS = re.compile(
    r"""\b(tlsCertificateKeyFilePassword|sslPEMPassphrase|ssl_pem_passphrase|proxyPassword|authMechanismProperties)"""
    r"""=[^&\s"']*""",
    re.IGNORECASE,
)


def address_given(text: str | None, by: str = "--mongo") -> str | None:
    """Returns the address that `--mongo` names: `text` itself, or what stands in FILE where it is `@FILE`.

    None if nothing is given; SettingsError if the file does not hold one address."""
    if not text or not text.startswith("@"):
        return text or None
    path = Path(text[1:])
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"{by} {text}: {path} cannot be read ({_why(error)})") from error
    if len(lines) != 1:
        raise SettingsError(f"{by} {text}: {path} must hold one address of MongoDB and nothing else")
    return lines[0]


def address_from_environment() -> str | None:
    """Returns the address that the environment names, None if it names none; SettingsError as `address_given`."""
    return address_given(os.environ.get(ENVIRONMENT), ENVIRONMENT)


def without_secrets(text: str) -> str:
    """Returns `text` with the secret parts of all the addresses in it hidden; to be used on whatever is shown."""
    if "mongodb" not in text:
        return text
    return _SECRET_OPTIONS.sub(rf"\1={_HIDDEN}", _PASSWORD.sub(rf"\1:{_HIDDEN}@", text))


def has_secret(address: str) -> bool:
    """Whether `address` contains a password or another secret."""
    return without_secrets(address) != address


def is_hidden(address: str) -> bool:
    """Whether the secrets of `address` have been hidden already, so that nobody can connect with it."""
    return f":{_HIDDEN}@" in address or f"={_HIDDEN}" in address


def _why(error: OSError | UnicodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not text"
