"""One town, one set of books: a terminal says in the books that it uses them, and who would open a second town on
them is told so, and how to join.

Two towns on the same books would depose each other's traders without end. The books themselves would hold.

Who would open a town
1. leaves a word that it would, and renews it from now on;
2. reads the last claim, and after that all words;
3. is refused if another is in its way that lives: one that uses the books, or the one that claimed last. Others that
   would open are not in its way. Whether one lives shows by its word, which changes as long as it does. One whose
   word has stayed as it is for longer than a living one leaves it is dead, and waited for until then. A machine that
   it has been in a town with is not in its way, and if one of these lives, neither is anybody else: it goes on in
   that town, and parts of a town that cannot reach each other find each other later;
4. if none is in its way, it claims, which succeeds only if the last claim is still the one that it read, and begins
   again with 2. Who finds its own claim there, and nobody in its way, says that it uses the books. If the claim is
   still its own after that, it opens.

Why not two open: claims follow each other one by one. Say that T lives and has opened, and that U claims later. U has
read T's claim, or a later one. T left its word before it claimed, so U, which read the words after the claim, saw it.
It was in U's way: if the claim was T's, for that, and else because T used the books by then, for a later claim means
that T's was not its own any more, and then T has not opened. So U was refused, or T was dead. A guest says that it
uses the books while its town still lives, and who opens reads all words once more after its claim. Who goes on with
others of its town has seen a word of theirs after it left its own, so whoever is to see the one sees the other.

Why not both are refused: who would open is in nobody's way before it has claimed, and of two claims after the same
one only one succeeds. Who has claimed is refused only by one that uses the books and goes on using them. If the last
claim is that of a terminal that has ended, its word is gone; if it has died, its word stays as it is.

No clock of a server or of another machine is asked, only for how long a word stays as it is, by the clock of this
machine that is never set. What is assumed is that who lives renews its word in time: a terminal that stood still for
longer counts as dead, and finds another town in its place.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from db.address import database_of
from db.terminals import LIVING_S, Claim, InUse, Place, Terminals
from peers.books_address import without_secrets
from peers.endpoints import endpoint
from peers.errors import LedgerError, TownError
from peers.town.files.directory import Directory, TownState
from peers.town.machines.invitation import known_machines
from peers.town.machines.may_join import how_to_join
from peers.town.plan.options import RunOptions

# None of these is a setting: they say how soon a word is there, and how long one that died is waited for.
_RENEW_S = 2.0
_LOOK_S = 0.25
_DEAD_S = LIVING_S + _RENEW_S


@contextlib.contextmanager
def opened_alone(directory: Directory, uri: str, host: str, given: RunOptions) -> Iterator[None]:
    """As long as this lasts, no other terminal opens a town on the books at `uri` than that of `directory`. Waits
    for one that may be dead.

    TownError if another town uses them, with the command by which a terminal that was `given` these options may join
    it; LedgerError if the books cannot be asked."""
    try:
        with contextlib.closing(Terminals(uri, database_of(uri))) as terminals:
            _Opening(terminals, directory, uri, host, given).check()
        with _renewed(directory, host, uri):
            yield
    finally:
        _release(directory, uri)


class _Opening:
    """One who would open a town on the books at `uri`."""

    def __init__(self, terminals: Terminals, directory: Directory, uri: str, host: str, given: RunOptions) -> None:
        self._terminals = terminals
        self._directory = directory
        self._uri = uri
        self._host = host
        self._given = given
        self._ours = directory.terminal()
        self._known = frozenset(known_machines(directory))
        # By terminal, its word as it was seen first, and when that was.
        self._seen: dict[str, tuple[InUse, float]] = {}
        self._claimed: Claim | None = None

    def check(self) -> None:
        """Returns once this terminal may open a town, or go on in its own. TownError if it may not."""
        while True:
            self._say(opens=True)
            claim = self._terminals.claim()
            others = self._terminals.others(self._ours)
            fellows = [each for each in others if each.place.nameserver in self._known]
            in_the_way = [each for each in others if each not in fellows and _is_in_the_way(each, claim)]
            living = {each.terminal for each in fellows if self._lives(each)}
            if living:
                self._say(opens=False)
                if living & {each.terminal for each in self._terminals.others(self._ours)}:
                    return
            elif self._must_wait(in_the_way, fellows):
                time.sleep(_LOOK_S)
            elif claim is None or claim != self._claimed:
                self._claimed = self._terminals.claim_after(claim, self._ours)
            else:
                for each in in_the_way:
                    self._terminals.forget(each)
                self._say(opens=False)
                if self._terminals.claim() == self._claimed:
                    return

    def _say(self, *, opens: bool) -> None:
        self._terminals.renew(self._ours, place_of(self._directory, None, self._host), opens=opens)

    def _must_wait(self, in_the_way: list[InUse], fellows: list[InUse]) -> bool:
        """Whether it is not known yet which of them live. TownError if one in the way does and no fellow."""
        living = [each for each in in_the_way if self._lives(each)]
        if living and all(map(self._is_dead, fellows)):
            raise self._in_use(living[0].place)
        return not all(map(self._is_dead, in_the_way))

    def _lives(self, other: InUse) -> bool:
        """Whether the word of another has changed since it was first seen."""
        first, _ = self._seen.setdefault(other.terminal, (other, time.monotonic()))
        return first.mark != other.mark

    def _is_dead(self, other: InUse) -> bool:
        _, since_s = self._seen.setdefault(other.terminal, (other, time.monotonic()))
        return not self._lives(other) and time.monotonic() - since_s > _DEAD_S

    def _in_use(self, place: Place) -> TownError:
        how = how_to_join(place, self._directory, self._uri, self._host, self._given)
        return TownError(
            f"the books at {without_secrets(self._uri)} are in use by the town on {place.host} (--dir "
            f"{place.directory}), and two towns cannot share books: {how}. Or name another database in --mongo"
        )


def _is_in_the_way(other: InUse, claim: Claim | None) -> bool:
    return not other.opens or (claim is not None and claim.terminal == other.terminal)


def name_servers_in_books(uri: str) -> list[str]:
    """Returns where the name servers of those are who use the books at `uri` just now; none if it cannot be told."""
    return _name_servers(uri, database_of(uri), Terminals.living)


def name_servers_of_others(uri: str, database: str, terminal: str) -> list[str]:
    """Returns where the name servers of all others were who have left a word in the books, whether they live or not;
    none if it cannot be told."""
    return _name_servers(uri, database, lambda terminals: terminals.others(terminal))


def _name_servers(uri: str, database: str, ask: Callable[[Terminals], list[InUse]]) -> list[str]:
    with contextlib.suppress(LedgerError), contextlib.closing(Terminals(uri, database)) as terminals:
        return [each.place.nameserver for each in ask(terminals) if each.place.nameserver]
    return []


@contextlib.contextmanager
def held(directory: Directory, host: str, *, release: bool) -> Iterator[None]:
    """Has the books say that the terminal of `directory` uses them, as long as this lasts. Books that are away are
    told when they are back. `release`: at the end they are told too, for they are still there."""
    try:
        with _renewed(directory, host):
            yield
    finally:
        if release:
            _release(directory)


@contextlib.contextmanager
def _renewed(directory: Directory, host: str, uri: str = "") -> Iterator[None]:
    """Renews the word of a terminal as long as this lasts; in the books at `uri` until it is open, and says where."""
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(directory, host, uri, ended), name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join(_DEAD_S)  # What it is just writing must not come after the release.


def say_in_use(directory: Directory, host: str) -> None:
    """Has the books say that the terminal of `directory` uses them, at once: who begins just now is not to miss it.
    Books that are away are told later."""
    state = directory.running_town()
    if state is None or not state.mongo_uri:
        return
    with (
        contextlib.suppress(LedgerError),
        contextlib.closing(Terminals(state.mongo_uri, state.database)) as terminals,
    ):
        terminals.renew(directory.terminal(), place_of(directory, state, host))


def _keep(directory: Directory, host: str, uri: str, ended: threading.Event) -> None:
    terminals: Terminals | None = None
    ours = directory.terminal()
    while not ended.is_set():
        state = directory.running_town()
        is_open = state is not None and bool(state.mongo_uri) and state.phase == "open"
        if uri or is_open:
            with contextlib.suppress(LedgerError):
                terminals = terminals or Terminals(*_where(state if is_open else None, uri))
                terminals.renew(ours, place_of(directory, state if is_open else None, host))
        ended.wait(_RENEW_S)
    if terminals is not None:
        terminals.close()


def _where(state: TownState | None, uri: str) -> tuple[str, str]:
    return (uri, database_of(uri)) if state is None else (state.mongo_uri, state.database)


def _release(directory: Directory, uri: str = "") -> None:
    """Says that the terminal of `directory` does not use the books any longer: those at `uri`, or where it said that
    they are. Where they are away, its word lapses."""
    state = directory.running_town()
    if not uri and (state is None or not state.mongo_uri):
        return
    with (
        contextlib.suppress(LedgerError),
        contextlib.closing(Terminals(*_where(None if uri else state, uri))) as words,
    ):
        words.release(directory.terminal())


def place_of(directory: Directory, state: TownState | None, host: str) -> Place:
    """Where this terminal is, as others find it."""
    outside = (state.advertised if state is not None else "") or host
    port = state.nameserver_port if state is not None else 0
    return Place(outside, str(directory.path), endpoint(outside, port) if port else "")
