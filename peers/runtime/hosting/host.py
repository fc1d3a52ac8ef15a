"""The Pyro5 host of one peer: it listens, has the core run, and answers what callers ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from peers.core.calls import AsOf, Call, OnOffer, Reply, Search, Status
from peers.core.commands import HoldPost, NotifySales, Stop
from peers.core.inputs import Leave, Quiesce, Received, SalesNotified, Start
from peers.core.ledger.port import Ledger
from peers.core.market.records import Outcome
from peers.core.membership.members import Member, Snapshot
from peers.core.messages import MemberNews
from peers.core.reports import Report
from peers.core.settings import make_settings
from peers.endpoints import host_of
from peers.errors import NotTrader, PostClosed
from peers.rpc.deferred_replies import OnReply
from peers.rpc.endpoint import PeerEndpoint, handlers
from peers.rpc.forms.public_form import Document, Reader
from peers.rpc.serving.reactor import Afterwards
from peers.rpc.serving.server import Server
from peers.rpc.wire import Parcel
from peers.runtime.area_search import AreaSearch
from peers.runtime.brief_calls import call_back, pass_on
from peers.runtime.homes import Homes
from peers.runtime.hosting.core import MakeCore, make_peer, member_of
from peers.runtime.hosting.core_runner import CoreRunner
from peers.runtime.hosting.in_office import InOffice
from peers.runtime.journal import handed_over_before
from peers.runtime.logs import Log
from peers.runtime.name_registration import NameRegistration
from peers.runtime.spec import CutLinks, PeerSpec

REGISTER_PATIENCE_S = 10.0
"""How long to look for a name server at the start. No setting: a town starts one before its first peer."""


class NearestSearch(Protocol):
    """Who searches in the books near this peer; see `db.ledger.searching`."""

    def search(self, item: str | None, since: AsOf | None) -> OnOffer | None: ...

    def close(self) -> None: ...


class PeerHost:
    """One peer, listening from the start; `register` it, then `begin`.

    `nearest` answers searches while this peer is not in office. `on_report` and `on_stop` are called under the lock
    and must not block; `on_fault` gets what the core raised.
    """

    def __init__(
        self,
        spec: PeerSpec,
        *,
        make_ledger: Callable[[], Ledger],
        log: Log,
        on_report: Callable[[Report], None],
        on_stop: Callable[[], None],
        on_fault: Callable[[BaseException], None],
        make_core: MakeCore = make_peer,
        nearest: NearestSearch | None = None,
    ) -> None:
        settings = make_settings(spec.settings)
        self.name = spec.name
        self._log = log
        self._timeout_s = settings.timing.call_timeout_s
        self._nearest = nearest
        # It only matters to a seller that has lost its goods; then this peer's earlier lives are to be read up.
        lost = settings.market.loss_after_crash
        self._handed_over = handed_over_before(Path(spec.directory), spec.name) if lost else ()
        self._runner = CoreRunner(spec, self._timeout_s, make_ledger, log, on_report, on_fault)
        served = PeerEndpoint(self, Reader(settings))
        self._server = Server(
            spec.host,
            served,
            spec.object_id,
            on_hangup=self._runner.on_hangup,
            handlers=handlers(served),
            advertised=spec.advertised,
            ports=spec.ports,
        )
        self.member = member_of(spec, self._server.uri)
        self.home = host_of(self.member.uri)
        nameserver = (spec.nameserver_host, spec.nameserver_port)
        self._homes = Homes(self.snapshot, nameserver)
        self.home_of, self.home_of_rank = self._homes.home_of, self._homes.home_of_rank
        self._shares_log = bool(spec.areas) and settings.market.one_stock
        self._area_search = AreaSearch(spec.area, spec.areas, nameserver, served.browse)
        self._registration = NameRegistration(*nameserver, self.member)
        self._in_office = InOffice(self._runner, self.member, self._registration, settings.timing, log)
        self._runner.attach(
            make_core(self.member, settings, spec),
            {
                HoldPost: self._in_office.hold,
                NotifySales: self._in_office.sale_notifier.tell,
                Stop: lambda _: on_stop(),
            },
        )
        self._server.start()

    # -- beginning and end ---------------------------------------------------------------------------------

    def register(self) -> None:
        """Has the name server list this peer, from now on; TownError if there is none."""
        self._registration.start(REGISTER_PATIENCE_S)

    def begin(self, snapshot: Snapshot, *, starts_election: bool = False) -> None:
        """The market opens."""
        self._runner.begin(Start(snapshot=snapshot, starts_election=starts_election, handed_over=self._handed_over))

    def rest(self) -> None:
        """Buys and sells nothing more of its own accord."""
        self._runner.feed(Quiesce())

    def leave(self) -> None:
        """Says goodbye to the market; `on_stop` is called when that is done."""
        self._runner.feed(Leave())

    def stop(self, *, farewell: bool = False) -> None:
        """Takes in nothing more; returns when what was said has been sent.

        With `farewell` the name server takes this peer's entries away.
        """
        # This comes first, for neighbours whose links end look whether anybody still listens here.
        self._server.stop_listening()
        with self._runner.lock:
            self._runner.end()
            self._in_office.stop()
        self._runner.drain(0.5)
        self._registration.stop(farewell=farewell)
        self._runner.ledger.close()
        if self._nearest is not None:
            self._nearest.close()

    def close(self) -> None:
        """Stops, and lets go of everything: for programs that go on afterwards."""
        self.stop(farewell=True)
        self._server.close()
        self._in_office.join(self._timeout_s)
        self._runner.join(self._timeout_s)

    def cut_links(self, cut: CutLinks) -> None:
        """Behaves as if these links were cut, for a while: for chaos runs and tests."""
        self._log.warning("links are cut on the town's order", neighbours=cut.neighbours, way=cut.way)
        self._runner.exchange.cuts.apply(cut)

    def snapshot(self) -> Snapshot:
        """What this peer believes of the market."""
        with self._runner.lock:
            return self._runner.core.snapshot()

    # -- what the endpoint hands over ----------------------------------------------------------------------

    def call(self, call: Call, area: str = "") -> Reply:
        """Has the core answer a call to the trader of `area`; raises WireError where that is the answer."""
        return self._runner.calls.call(call, area)

    def call_later(self, call: Call, on_reply: OnReply, area: str = "") -> Afterwards | None:
        """Has the core answer a call, on no thread of its own; see `WaitingCalls.call_later`."""
        return self._runner.calls.call_later(call, on_reply, area)

    def call_anywhere(self, call: Call, method: str, *arguments: object) -> object:
        """The same, but where this peer is not in office, asks the trader it knows of and returns what that said. A
        search it answers from the nearest member of the books instead, where the settings have it so and it can.

        WireError where that is the answer, PostClosed if the trader does not answer.
        """
        if isinstance(call, Search) and self._nearest is not None and not self._in_office.holds_post:
            found = self._nearest.search(call.item, call.since)
            if found is not None:
                return found
        try:
            return self.call(call)
        except NotTrader as refusal:
            uri = refusal.trader_uri
            if uri is None or uri == self.member.uri:
                raise
        return pass_on(uri, method, arguments, self._timeout_s)

    @property
    def areas(self) -> Collection[str]:
        """The areas of the town."""
        return self._area_search.areas

    def search_areas(self, item: str | None, areas: Collection[str] | None, since: Mapping[str, object]) -> Document:
        """Searches in several areas; see `AreaSearch.search`."""
        return self._area_search.search(item, areas, since)

    def as_of(self, area: str = "") -> AsOf | None:
        """How far this peer has read as the trader of `area`; None if it is not in office there."""
        with self._runner.lock:
            return self._runner.core.as_of(area)

    def status(self) -> Status:
        """What the core says of itself."""
        with self._runner.lock:
            return self._runner.core.status()

    def is_prompt(self, sender: int) -> bool:
        """Whether `deliver` takes in at once what comes from there."""
        return self._runner.exchange.is_prompt(sender)

    def deliver(self, parcel: Parcel) -> Parcel:
        """Takes in what came along a link; returns what handling it made this peer say to the sender."""
        return self._runner.exchange.deliver(parcel)

    def trader_homes(self, sales: tuple[Outcome, ...]) -> Iterable[str | None]:
        """The hosts of the traders that may tell this peer of these sales."""
        return self._homes.trader_homes(sales, of_other_areas=self._shares_log)

    def told(self, sales: tuple[Outcome, ...]) -> None:
        """The trader tells of sales. A seller that cannot note them leaves them for when it next asks."""
        with self._runner.lock:
            if not self._runner.noted_first.is_behind:
                self._runner.step(SalesNotified(sales=sales))

    def introduce(self, member: Member) -> Snapshot:
        """Takes in a newcomer; returns what it must know. PostClosed if this peer has not begun itself, BadRequest if
        the newcomer does not answer at its own address: nobody is let in, and elected, that nobody can call."""
        if member.area != self.member.area:  # It looked for its own, and found this peer where one of them was.
            raise PostClosed(why=f"{self.name} is of another area")
        if not self._runner.begun.wait(self._timeout_s / 2):
            raise PostClosed(why="this peer has not begun itself")
        call_back(member)
        with self._runner.lock:
            news = MemberNews(members=(member,))
            self._runner.step(Received(sender=member.rank, incarnation=member.incarnation, message=news))
            return self._runner.core.snapshot()
