"""The one exposed object of a peer: the methods described in the README beside this file, and those that peers need
among themselves.

Nothing is decided here. What a caller sends is checked and handed to the host, and the answer is put into its public
form. Every method takes any arguments, so that a missing or a surplus one is a `BadRequest` and not a traceback.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, NoReturn, Protocol

from Pyro5.server import expose

from peers.core.calls import (
    AsOf,
    Call,
    Failure,
    OnOffer,
    Reply,
    Resign,
    ReversalsReply,
    StandingReply,
    Status,
    StockReply,
)
from peers.core.market.limits import MAX_ID_LENGTH
from peers.core.market.records import Deposit, Outcome
from peers.core.membership.members import Member, Snapshot
from peers.core.names import ROLES, peer_name
from peers.errors import BadRequest, PostClosed, WireError
from peers.rpc import wire
from peers.rpc.deferred_replies import OnReply
from peers.rpc.forms import public_form
from peers.rpc.forms.area_form import areas_in, search_arguments, since_in
from peers.rpc.forms.read_form import browse_dict, since_of
from peers.rpc.permissions import check_machine, check_may_see, check_may_speak, check_may_trade, machines_only
from peers.rpc.serving.reactor import Afterwards
from peers.rpc.serving.served_connection import CallAnswer
from peers.rpc.serving.server import CallHandler, MayWait, caller, caller_identity, served_on_thread
from peers.rpc.speakers import check_newcomer, check_own_machine, check_sender, check_trader_tells


class ServedPeer(Protocol):
    """The peer behind the endpoint, as far as callers concern it. Each method may be called from any thread."""

    @property
    def name(self) -> str: ...

    def status(self) -> Status:
        """What the peer says of itself."""

    def as_of(self, area: str = "") -> AsOf | None:
        """How far this peer has read as the trader of `area` ("": its own); None if it is not in office there."""

    def call(self, call: Call, area: str = "") -> Reply:
        """Answers a call to the trader of `area` ("": the peer's own), and may wait for that. Raises WireError where
        that is the answer."""

    def call_later(self, call: Call, on_reply: OnReply, area: str = "") -> Afterwards | None:
        """Has a call answered: `on_reply` gets the answer, on whichever thread has it. Raises WireError instead if
        the answer is known to be one. Returns what the calling thread is to do next, once it may wait."""

    def call_anywhere(self, call: Call, method: str, *arguments: object) -> object:
        """As `call`; but where this peer is not in office, returns what the trader's `method` gave for these."""

    @property
    def areas(self) -> Collection[str]:
        """The areas of the town; the peer's own, without a name, where it has one post."""

    def search_areas(
        self, item: str | None, areas: Collection[str] | None, since: Mapping[str, object]
    ) -> public_form.Document:
        """Searches in these areas, in all if None, as far as `since` says in each; says which did not answer."""

    def is_prompt(self, sender: int) -> bool:
        """Whether `deliver` takes in without waiting what comes from the peer of that rank."""

    def deliver(self, parcel: wire.Parcel) -> wire.Parcel:
        """Takes in what came along a link; returns what is to go back along it."""

    def told(self, sales: tuple[Outcome, ...]) -> None:
        """Takes in that goods of this peer were sold, or that purchases of its were taken back."""

    def introduce(self, member: Member) -> Snapshot:
        """Takes in a newcomer; returns what it must know."""

    @property
    def home(self) -> str:
        """The host that the peer is called at."""

    def home_of(self, name: str) -> str | None:
        """The host that the peer of this name is called at; None if it is not known."""

    def home_of_rank(self, rank: int) -> str | None:
        """The host that the peer of this rank is called at; None if it is not known here. Does not wait."""

    def trader_homes(self, sales: tuple[Outcome, ...]) -> Iterable[str | None]:
        """The hosts of the traders that may tell this peer of these sales."""


def _only(arguments: tuple[Any, ...], named: dict[str, Any], name: str) -> Any:
    """Returns the one argument there must be."""
    if len(arguments) == 1 and not named:
        return arguments[0]
    if not arguments and list(named) == [name]:
        return named[name]
    raise BadRequest(field=name, why="must be the one and only argument")


def _with_since(arguments: tuple[Any, ...], named: dict[str, Any], name: str) -> tuple[Any, Any]:
    """Returns the one argument there must be, and as of what the caller was told something, if it says."""
    if len(arguments) == 2 and not named:
        return arguments
    since = named.pop("since", None)
    if name == "item" and not arguments and not named:
        return None, since
    return _only(arguments, named, name), since


def _area_in(named: dict[str, Any]) -> str:
    """Takes out the area whose trader is meant, where this peer stands in for it; "" for its own."""
    return _area(named.pop("area", "")) if named else ""


def _area(given: object) -> str:
    if not isinstance(given, str) or len(given) > MAX_ID_LENGTH:
        raise BadRequest(field="area", why="must be the name of an area")
    return given


def _none(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    if arguments or named:
        raise BadRequest(field="arguments", why="there must be none")


@expose
class PeerEndpoint:
    """What callers can ask of a peer; everything without a `_` is exposed.

    `buy` and `deliver` are called most, and have handlers that need no thread (`handlers`); whoever comes in another
    way, over TLS or in another serializer, is served by the same handlers on a thread of its own.
    """

    def __init__(self, peer: ServedPeer, reader: public_form.Reader) -> None:
        self._peer = peer
        self._reader = reader

    # -- for everybody -------------------------------------------------------------------------------------

    def ping(self, *arguments: Any, **named: Any) -> str:
        """The peer's name."""
        _none(arguments, named)
        return self._peer.name

    def heartbeat(self, *arguments: Any, **named: Any) -> public_form.Document:
        """Who this is, and whom it takes for trader."""
        _none(arguments, named)
        return public_form.heartbeat_dict(self._peer.status())

    def status(self, *arguments: Any, **named: Any) -> public_form.Document:
        """What there is to know about this peer."""
        _none(arguments, named)
        return public_form.status_dict(self._peer.status())

    def buy(self, *arguments: Any, **named: Any) -> Any:
        """Buys; gives the outcome, once it is durable."""
        return served_on_thread(self._on_buy, arguments, named)

    def deposit(self, *arguments: Any, **named: Any) -> public_form.Document:
        """Deposits goods; gives the deposit as it is recorded."""
        area = _area_in(named)
        call = self._reader.offer(_only(arguments, named, "offer"))
        check_may_trade(
            caller(),
            role="seller",
            name=call.offer.seller,
            id_field="deposit_id",
            id_=call.offer.deposit_id,
            home_of=self._peer.home_of,
        )
        reply = self._peer.call(call, area)
        assert isinstance(reply, Deposit)
        return public_form.deposit_dict(reply, self._peer.as_of(area))

    def outcome(self, *arguments: Any, **named: Any) -> public_form.Document | None:
        """The recorded outcome of a request; None while there is none."""
        forwarded, area = named.pop("forwarded", False) is True, _area_in(named)
        request_id, since = _with_since(arguments, named, "request_id")
        call = self._reader.request_id(request_id, since)
        here, anywhere = self._peer.call, self._peer.call_anywhere
        reply = here(call, area) if forwarded or area else anywhere(call, "outcome", call.request_id, since)
        if isinstance(reply, Outcome):
            reply = public_form.outcome_dict(reply)
        if not isinstance(reply, dict):
            return None
        check_may_see(caller_identity(), reply.get("buyer"))
        return reply

    def search(self, *arguments: Any, **named: Any) -> list[public_form.Document]:
        """What can be bought, of one item or of all."""
        rows: list[public_form.Document] = self.browse(*arguments, **named)["rows"]
        return rows

    def browse(self, *arguments: Any, **named: Any) -> public_form.Document:
        """The same, and as of what it is so."""
        forwarded = named.pop("forwarded", False) is True
        item, since = _with_since(arguments, named, "item") if arguments or named else (None, None)
        call = self._reader.item(item, since)
        here, anywhere = self._peer.call, self._peer.call_anywhere
        reply = here(call) if forwarded else anywhere(call, "browse", call.item, since)
        if isinstance(reply, dict):
            return reply
        assert isinstance(reply, OnOffer)
        return browse_dict(reply, self._reader.max_staleness_s)

    def search_areas(self, *arguments: Any, **named: Any) -> public_form.Document:
        """What is on offer in several areas, of one item or of all; names those whose post did not answer."""
        item, areas, since = search_arguments(arguments, named)
        known = self._peer.areas
        told = since_in(since, known)
        for each in told.values():
            since_of(each)
        return self._peer.search_areas(self._reader.item(item).item, areas_in(areas, known), told)

    @machines_only
    def resign(self, *arguments: Any, **named: Any) -> None:
        """The trader steps down."""
        _none(arguments, named)
        check_own_machine(caller_identity(), "resign", self._peer.home)
        self._peer.call(Resign())

    # -- among peers ---------------------------------------------------------------------------------------

    def deliver(self, *arguments: Any, **named: Any) -> Any:
        """Takes in messages of a link; gives what this peer has to say to their sender in return."""
        return served_on_thread(self._on_deliver, arguments, named)

    @machines_only
    def told(self, packed: Any = None) -> None:
        """The trader tells this peer of sales of its goods, and of purchases that were taken back."""
        sales = wire.unpack_sales(packed)
        identity = caller_identity()
        if identity is not None:
            check_trader_tells(identity, self._peer.trader_homes(sales))
        self._peer.told(sales)

    @machines_only
    def standing(self, seller: Any = None, after_seq: Any = None, area: Any = "") -> bytes:
        """A seller's sales after `after_seq`, and what it still has on offer."""
        call = self._reader.standing(seller, after_seq)
        check_may_speak(caller(), field="seller", name=call.seller, home_of=self._peer.home_of)
        reply = self._peer.call(call, _area(area))
        assert isinstance(reply, StandingReply)
        return wire.pack(reply)

    @machines_only
    def report_stock(self, packed: Any = None, area: Any = "") -> bytes:
        """A seller reports what it really holds of a deposit, and which of its sales are to be taken back."""
        call = wire.unpack_stock_report(packed)
        check_may_speak(caller(), field="seller", name=call.seller, home_of=self._peer.home_of)
        reply = self._peer.call(call, _area(area))
        assert isinstance(reply, StockReply)
        return wire.pack(reply)

    @machines_only
    def reversals(self, customer: Any = None, after: Any = None, area: Any = "") -> bytes:
        """A customer's sales and purchases that were taken back, after the reversal numbered `after`."""
        call = self._reader.reversals(customer, after)
        check_may_speak(caller(), field="customer", name=call.customer, home_of=self._peer.home_of)
        reply = self._peer.call(call, _area(area))
        assert isinstance(reply, ReversalsReply)
        return wire.pack(reply)

    @machines_only
    def introduce(self, packed: Any = None) -> bytes:
        """A newcomer joins: everybody is told, and it is given what it must know."""
        member = wire.unpack_member(packed)
        check_newcomer(caller_identity(), member, self._peer.home_of_rank(member.rank))
        return wire.pack(self._peer.introduce(member))

    # -- the handlers --------------------------------------------------------------------------------------

    def _on_buy(self, answer: CallAnswer, arguments: tuple[Any, ...], named: dict[str, Any]) -> Afterwards | None:
        """No thread need wait for the outcome of a purchase: it is sent by the one that has it."""
        area = _area_in(named)
        call = self._reader.request(_only(arguments, named, "request"))
        # Where a peer is may have to be looked up, once for each connection.
        home_of = self._peer.home_of if answer.may_wait else _look_up_on_a_thread
        request = call.request
        check_may_trade(
            answer.connection,
            role="buyer",
            name=request.buyer,
            id_field="request_id",
            id_=request.request_id,
            home_of=home_of,
        )
        return self._peer.call_later(call, partial(_give_outcome, answer), area)

    def _on_deliver(self, answer: CallAnswer, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """A delivery is answered at once, unless the peer has not begun, or is to keep its neighbour waiting."""
        if answer.connection is not None:
            check_machine(answer.connection.identity, "deliver")
        parcel = wire.unpack_parcel(_only(arguments, named, "packed"))
        if not (answer.may_wait or self._peer.is_prompt(parcel.sender)):
            raise MayWait
        if answer.connection is not None:
            check_sender(answer.connection, parcel, partial(self._home_of_sender, answer))
            answer.connection.rank = parcel.sender
        answer.give(wire.pack(self._peer.deliver(parcel)))

    def _home_of_sender(self, answer: CallAnswer, rank: int) -> str | None:
        """Where the peer of a rank is. One of another area is not known here, and is looked up, once a connection."""
        home = self._peer.home_of_rank(rank)
        if home is not None or len(self._peer.areas) < 2:
            return home
        if not answer.may_wait:
            raise MayWait
        names = (peer_name(role, rank) for role in ROLES)
        return next((found for found in map(self._peer.home_of, names) if found is not None), None)


def _look_up_on_a_thread(_name: str) -> NoReturn:
    raise MayWait


def _give_outcome(answer: CallAnswer, reply: Reply | Failure) -> None:
    if isinstance(reply, Outcome):
        answer.give(public_form.outcome_dict(reply))
    else:
        answer.fail(reply if isinstance(reply, WireError) else PostClosed(why="the trader is not in office"))


def handlers(endpoint: PeerEndpoint) -> dict[str, CallHandler]:
    """Returns those of the endpoint's methods that a server can have answered without a thread."""
    return {"buy": endpoint._on_buy, "deliver": endpoint._on_deliver}
