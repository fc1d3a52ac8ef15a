"""Why a database does not let us in, in our words: the driver's own fill a screen and say nothing of what to do."""

from __future__ import annotations

import re

from db.uri import hosts_of
from peers.books_address import without_secrets
from peers.endpoints import endpoint
from peers.errors import LedgerError

_MOST = 160
"""Letters of the driver's own words that are shown."""

# By what the driver says: whether nobody was reached at all, and what to do.
_SIGNS = (
    (
        re.compile(r"CERTIFICATE_VERIFY_FAILED|unknown ca|self.signed", re.IGNORECASE),
        False,
        "its certificate is not one of the authority that this machine trusts: has the town another authority, or "
        "does the address name another tlsCAFile? Join by an invitation (bazaar invite), which brings both",
    ),
    (
        re.compile(r"Authentication failed|requires authentication|not authorized", re.IGNORECASE),
        False,
        "user or password are not those of the books: mend the address, or have a new invitation made",
    ),
    (
        re.compile(r"alert|SSL|TLS|certificate", re.IGNORECASE),
        False,
        "it does not take the certificate of this machine, or wants none: see `tls` in the address, and for a town's "
        "own books join by an invitation (bazaar invite)",
    ),
    (
        re.compile(r"refused", re.IGNORECASE),
        True,
        "nobody listens there: start it (the first machine of a town runs the books, if none were given)",
    ),
    (
        re.compile(r"timed out|No servers|No replica set members|unreachable", re.IGNORECASE),
        True,
        "no answer in time: is the port open in the firewall, and does the set name its members by addresses that "
        "this machine can reach? For a set of one, directConnection=true asks the one in the address",
    ),
)


def what_to_do(error: Exception, uri: str) -> str:
    """Returns one line for whatever a driver's error says of the database at `uri`, with what to do about it."""
    text = without_secrets(str(error))
    try:
        where = ", ".join(endpoint(*each) for each in hosts_of(uri))
    except LedgerError:
        where = without_secrets(uri)
    # What follows is how the driver sees the whole set, at great length; an address says nothing of what is wrong.
    first = re.sub(r"mongodb\S*", "", text.partition(", Timeout:")[0])[:_MOST].strip()
    for sign, is_away, advice in _SIGNS:
        if sign.search(first):
            how = f"no database answers at {where}" if is_away else f"the database at {where} cannot be used"
            return f"{how}: {advice} ({first})"
    return f"the database at {where} cannot be used: {first}; see its log, or mend --mongo"


def first_words(error: Exception) -> str:
    """Returns the part of a driver's message that says what is wrong; its view of the whole cluster follows that."""
    return str(error).split(", Timeout:")[0].split(" (configured timeouts")[0].split(", full error")[0]
