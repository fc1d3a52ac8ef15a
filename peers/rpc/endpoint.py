"""The one exposed object of a peer: the methods of the contract, and those that peers need among themselves.

Nothing is decided here. A caller's words are checked and handed to the host; its answer is put into words. Arguments
are taken as they come, so that a missing or a surplus one is a `BadRequest` and not a traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from Pyro5.server import expose

from peers.core.calls import Failure, Reply, Resign, StandingReply
from peers.core.market.records import Deposit, Outcome
from peers.errors import BadRequest, PostClosed, WireError
from peers.rpc import wire
from peers.rpc.reactor import Afterwards
from peers.rpc.served_connection import Later
from peers.rpc.server import MayWait, Prompt, caller

if TYPE_CHECKING:
    from peers.runtime.host import PeerHost


def _only(arguments: tuple[Any, ...], named: dict[str, Any], name: str) -> Any:
    """Returns the one argument there must be."""
    if len(arguments) == 1 and not named:
        return arguments[0]
    if not arguments and list(named) == [name]:
        return named[name]
    raise BadRequest(field=name, why="must be the one and only argument")


def _none(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    if arguments or named:
        raise BadRequest(field="arguments", why="there must be none")


@expose
class PeerEndpoint:
    """See the contract. Each call is answered on a thread of its caller's connection."""

    def __init__(self, host: PeerHost, reader: wire.Reader) -> None:
        self._host = host
        self._reader = reader

    # -- the contract --------------------------------------------------------------------------------------

    def ping(self, *arguments: Any, **named: Any) -> str:
        """The peer's name."""
        _none(arguments, named)
        return self._host.name

    def heartbeat(self, *arguments: Any, **named: Any) -> wire.Document:
        """Who this is, and whom it takes for trader."""
        _none(arguments, named)
        status = self._host.status()
        return {"peer": status.name, "term": status.term, "trader": status.trader}

    def status(self, *arguments: Any, **named: Any) -> wire.Document:
        """What there is to know about this peer."""
        _none(arguments, named)
        return wire.status_dict(self._host.status())

    def buy(self, *arguments: Any, **named: Any) -> wire.Document:
        """A purchase: the outcome, once it is durable."""
        reply = self._host.call(self._reader.request(_only(arguments, named, "request")))
        assert isinstance(reply, Outcome)
        return wire.outcome_dict(reply)

    def deposit(self, *arguments: Any, **named: Any) -> wire.Document:
        """A deposit, as recorded."""
        reply = self._host.call(self._reader.offer(_only(arguments, named, "offer")))
        assert isinstance(reply, Deposit)
        return wire.deposit_dict(reply)

    def outcome(self, *arguments: Any, **named: Any) -> wire.Document | None:
        """The recorded outcome of a request; None while there is none."""
        forwarded = named.pop("forwarded", False) is True
        call = self._reader.request_id(_only(arguments, named, "request_id"))
        here, anywhere = self._host.call, self._host.call_anywhere
        reply = here(call) if forwarded else anywhere(call, "outcome", call.request_id)
        if not isinstance(reply, Outcome):
            return reply if isinstance(reply, dict) else None
        return wire.outcome_dict(reply)

    def search(self, *arguments: Any, **named: Any) -> list[wire.Document]:
        """What is on offer, of one item or of all."""
        forwarded = named.pop("forwarded", False) is True
        call = self._reader.item(_only(arguments, named, "item") if arguments or named else None)
        here, anywhere = self._host.call, self._host.call_anywhere
        reply = here(call) if forwarded else anywhere(call, "search", call.item)
        if isinstance(reply, list):
            return reply
        assert isinstance(reply, tuple)
        return wire.on_offer(reply)

    def resign(self, *arguments: Any, **named: Any) -> None:
        """The trader steps down."""
        _none(arguments, named)
        self._host.call(Resign())

    # -- among peers ---------------------------------------------------------------------------------------

    def deliver(self, packed: Any = None) -> bytes:
        """Messages along a link. Gives what handling them made this peer say to the very sender."""
        parcel = wire.unpack_parcel(packed)
        connection = caller()
        if connection is not None:
            connection.rank = parcel.sender
        return wire.pack(self._host.deliver(parcel))

    def told(self, packed: Any = None) -> None:
        """The trader tells this seller of sales."""
        self._host.told(wire.unpack_sales(packed))

    def standing(self, seller: Any = None, after_seq: Any = None) -> bytes:
        """A seller's sales after `after_seq`, and what it still has on offer."""
        reply = self._host.call(self._reader.standing(seller, after_seq))
        assert isinstance(reply, StandingReply)
        return wire.pack(reply)

    def introduce(self, packed: Any = None) -> bytes:
        """A newcomer joins: everybody is told, and it is given what it must know."""
        return wire.pack(self._host.introduce(wire.unpack_member(packed)))


def prompt_answers(host: PeerHost, reader: wire.Reader) -> dict[str, Prompt]:
    """The methods of the desk that are called most, past the machinery of Pyro that they have no use for.

    No thread waits for the outcome of a purchase; a delivery is answered at once.
    """

    def buy(later: Later, arguments: tuple[Any, ...], named: dict[str, Any]) -> Afterwards | None:
        def answered(reply: Reply | Failure) -> None:
            if isinstance(reply, Outcome):
                later.give(wire.outcome_dict(reply))
            else:
                later.fail(reply if isinstance(reply, WireError) else PostClosed(why="the trader is not in office"))

        try:
            return host.call_later(reader.request(_only(arguments, named, "request")), answered)
        except WireError as error:
            later.fail(error)
            return None

    def deliver(later: Later, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        try:
            parcel = wire.unpack_parcel(_only(arguments, named, "packed"))
            if not host.is_prompt(parcel.sender):
                raise MayWait
            later.connection.rank = parcel.sender
            answer = wire.pack(host.deliver(parcel))
        except WireError as error:
            later.fail(error)
        else:
            later.give(answer, large=True)

    return {"buy": buy, "deliver": deliver}
