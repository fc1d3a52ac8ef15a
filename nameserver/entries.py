"""What the name server keeps, within bounds: whoever may call it can register anything, and all others read that.

So each entry is looked at as it comes in. One of another form than peers read would be a fault of theirs, one without
bounds would take the memory of this process, and a pattern to search by may take it longer than there is time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn

from Pyro5.core import URI
from Pyro5.nameserver import NameServer
from Pyro5.server import expose

MOST_ENTRIES = 10_000
"""The most names that are kept."""

LONGEST_NAME = 200
LONGEST_URI = 300
LONGEST_TAGS = 256 * 1024
"""The most characters in all the tags of one entry; the town's card has its settings in them."""

_NAME = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_NAME}}}")


@expose
class BoundedNames(NameServer):  # type: ignore[misc]
    """Pyro5's name server, but that it refuses what is out of bounds, and knows no regular expressions."""

    def register(self, name: Any, uri: Any, safe: Any = False, metadata: Any = None) -> None:
        """Enters a name. ValueError for an entry that is out of bounds, or one more than are kept."""
        address = str(uri) if type(uri) is URI else uri
        if not _is_name(name) or not isinstance(address, str) or len(address) > LONGEST_URI or not address.isascii():
            raise ValueError(f"a name has 1 to {LONGEST_NAME} printable characters, a URI at most {LONGEST_URI}")
        tags = tags_in(metadata)
        with self.lock:
            if name not in self.storage and len(self.storage) >= MOST_ENTRIES:
                raise ValueError(f"there are {MOST_ENTRIES} names already, which is all that are kept")
            super().register(name, address, bool(safe), tags)

    def set_metadata(self, name: Any, metadata: Any) -> None:
        """Changes what an entry says. ValueError for tags that are out of bounds, or no name."""
        if not _is_name(name):
            raise ValueError("no name")
        super().set_metadata(name, tags_in(metadata))

    def list(self, prefix: Any = None, regex: Any = None, return_metadata: Any = False) -> Any:
        """The entries whose names begin with `prefix`, or all. ValueError for a regular expression."""
        if regex is not None:
            _refuse_pattern()
        return super().list(prefix, None, bool(return_metadata))

    def remove(self, name: Any = None, prefix: Any = None, regex: Any = None) -> Any:
        """Takes entries away; returns how many. ValueError for a regular expression."""
        if regex is not None:
            _refuse_pattern()
        return super().remove(name, prefix, None)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def tags_in(metadata: object) -> set[str] | None:
    """Returns the tags of an entry as they are kept. ValueError for what is out of bounds, or no tags at all."""
    if metadata is None:
        return None
    if not isinstance(metadata, list | tuple | set | frozenset) or not all(isinstance(tag, str) for tag in metadata):
        raise ValueError("metadata is a collection of texts")
    tags: Iterable[str] = metadata
    if sum(map(len, tags)) > LONGEST_TAGS or not all(map(_can_be_sent, tags)):
        raise ValueError(f"metadata has at most {LONGEST_TAGS} characters in all, each a whole one")
    return set(tags)


def _can_be_sent(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # It is half of a surrogate pair, which json lets in.
        return False
    return True


def _refuse_pattern() -> NoReturn:
    raise ValueError("regular expressions are not taken, for they may take for ever; list by prefix")
