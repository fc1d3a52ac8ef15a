"""Addresses of MongoDB as text: taken apart, and put together with something changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from peers.books_address import without_secrets
from peers.endpoints import endpoint
from peers.errors import LedgerError

FILE_OPTIONS = ("tlsCAFile", "tlsCertificateKeyFile")
"""Those options of an address that name a file."""

_SLASHES = 3
"""In an address that says where its options begin."""


def hosts_of(uri: str) -> list[tuple[str, int]]:
    """Returns the hosts a MongoDB address names, with their ports; LedgerError if it is no such address."""
    # Files it names need not be here for that.
    bare = with_options(uri, dict.fromkeys(FILE_OPTIONS)) if "?" in uri else uri
    return [(host, port or 27017) for host, port in parsed(bare)["nodelist"]]


def option_of(uri: str, name: str) -> str | None:
    """Returns what the address says of an option, such as `tlsCAFile`; None if it says nothing."""
    _, _, options = uri.partition("?")
    return next((value for key, value in parse_qsl(options) if key.lower() == name.lower()), None)


def with_options(uri: str, changes: Mapping[str, str | None]) -> str:
    """Returns the address with these options changed or added; those without a value are left out."""
    place, _, options = uri.partition("?")
    lowered = {name.lower() for name in changes}
    kept = [(name, value) for name, value in parse_qsl(options) if name.lower() not in lowered]
    kept += [(name, value) for name, value in changes.items() if value is not None]
    if place.count("/") < _SLASHES:
        place += "/"
    return f"{place}?{urlencode(kept)}" if kept else place


def with_database(uri: str, database: str) -> str:
    """Returns the address with this database in the place of the one it names, if any."""
    place, mark, options = uri.partition("?")
    scheme, _, rest = place.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{database}{mark}{options}"


def with_nodes(uri: str, nodes: Iterable[str]) -> str:
    """Returns the address with these nodes, each `host:port`, in the place of those it has."""
    scheme, _, rest = uri.partition("://")
    place, slash, tail = rest.partition("/")
    login, at, _hosts = place.rpartition("@")
    return f"{scheme}://{login}{at}{','.join(nodes)}{slash}{tail}"


def with_hosts(uri: str, changes: Mapping[str, str]) -> str:
    """Returns the address with these hosts replaced by others, their ports kept."""
    scheme, _, rest = uri.partition("://")
    place, slash, tail = rest.partition("/")
    login, at, hosts = place.rpartition("@")
    replaced = []
    for each in hosts.split(","):
        host, colon, port = each.rpartition(":")
        bare = (host if colon else each).removeprefix("[").removesuffix("]")
        new = changes.get(bare)
        replaced.append(each if new is None else endpoint(new, int(port)) if colon else new)
    return f"{scheme}://{login}{at}{','.join(replaced)}{slash}{tail}"


def parsed(uri: str) -> Any:
    """Returns what the driver makes of an address; LedgerError if it makes nothing of it.

    Nothing of what was given is shown then: where it is not as it should be, any part may be that of a password."""
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise LedgerError("--mongo: expected an address such as mongodb://127.0.0.1:27017/?replicaSet=rs0")
    scheme, _, rest = uri.partition("://")
    _login, at, place = rest.rpartition("@")
    try:
        if re.search(r"[\s\"']", uri):
            raise ValueError("spaces and quotes must be escaped")
        return parse_uri(uri, validate=True)
    except OSError as error:
        raise LedgerError(f"--mongo: {error.strerror or error}: mend the address, or bring the file") from error
    except (PyMongoError, ValueError) as error:
        why = str(error)
    if at:
        # The driver's errors may quote what they do not understand. Where it does not understand the rest alone
        # either, its error for that can be shown.
        try:
            parse_uri(f"{scheme}://{place}", validate=True)
        except (PyMongoError, ValueError) as error:
            why = str(error)
        else:
            why = "in user and password, all but letters, digits and - . _ ~ must be escaped (@ is %40)"
    raise LedgerError(without_secrets(f"--mongo: no address of a database: {why}"))
