"""One line on what travels: inputs, messages, what the ledger is asked and says, and errors that were raised."""

from __future__ import annotations

from peers.core.calls import Buy, MakeDeposit, ReportStock
from peers.core.inputs import (
    CallCompleted,
    Input,
    LedgerReplied,
    PeerGone,
    Received,
    RequestReceived,
    SalesNotified,
    TimerFired,
)
from peers.core.ledger.log import Entry, OfficeEntry
from peers.core.ledger.port import Append, Loaded, Operation, Result, Taken
from peers.core.market.records import Deposit, Outcome
from peers.core.messages import (
    ClockNews,
    Coordinator,
    ElectionMessage,
    Heartbeat,
    LinkMessage,
    MemberNews,
    Tally,
    Vacancy,
)


def describe_input(event: Input) -> str:
    """One line on what reached a peer."""
    if isinstance(event, Received):
        return f"<- {describe_message(event.message)} from {event.sender}"
    if isinstance(event, TimerFired):
        return f"timer {event.timer}"
    if isinstance(event, RequestReceived):
        call = event.call
        of = ""
        if isinstance(call, Buy):
            of = f" {call.request.request_id}"
        elif isinstance(call, MakeDeposit):
            of = f" {call.offer.deposit_id}"
        elif isinstance(call, ReportStock):
            of = f" {call.holds} of {call.deposit_id}, none for {', '.join(call.unfilled) or 'nobody'}"
        return f"is asked {type(call).__name__}{of} (call {event.call_id})"
    if isinstance(event, CallCompleted):
        return f"hears {_describe_reply(event.reply)}"
    if isinstance(event, LedgerReplied):
        return f"ledger: {describe_operation(event.operation)} -> {describe_result(event.result)}"
    if isinstance(event, SalesNotified):
        return f"is told of sales {', '.join(map(_describe_sale, event.sales))}"
    if isinstance(event, PeerGone):
        return f"finds {event.rank} gone"
    return type(event).__name__


def _describe_sale(outcome: Outcome) -> str:
    return f"{outcome.seq}{' (taken back)' if outcome.taken_back is not None else ''}"


def describe_message(message: LinkMessage) -> str:
    """One line on a link's message."""
    name = type(message).__name__
    if isinstance(message, Heartbeat):
        return f"{name}(term {message.term}, trader {message.trader})"
    if isinstance(message, ClockNews):
        return f"{name}({message.clock.time})"
    if isinstance(message, MemberNews):
        members = ", ".join(f"{m.rank}{'' if m.up else ' gone'}" for m in message.members)
        return f"{name}({members}{', whole' if message.whole else ''})"
    if isinstance(message, ElectionMessage):
        return f"{name}(after term {message.after_term}, attempt {message.attempt}, {message.gist()})"
    if isinstance(message, Coordinator):
        return f"{name}(term {message.term}, trader {message.trader})"
    if isinstance(message, Vacancy):
        barred = f", barred {', '.join(map(str, message.barred))}" if message.barred else ""
        return f"{name}(term {message.term}, {message.reason}{barred})"
    if isinstance(message, Tally):
        return f"{name}(term {message.term}, {message.messages} messages)"
    return name


def describe_operation(operation: Operation) -> str:
    """One line on what the ledger is asked."""
    name = type(operation).__name__
    if isinstance(operation, Append):
        return f"{name}({operation.place}: {describe_entry(operation.entry)})"
    return name


def describe_entry(entry: Entry) -> str:
    """A few words on an entry of the log."""
    if isinstance(entry, OfficeEntry):
        return f"{entry.trader} takes office for term {entry.term}"
    outcomes = entry.outcomes
    parts = (
        f"{len(entry.deposits)} deposits" if entry.deposits else "",
        f"takes back {', '.join(entry.new_reversals)}" if entry.reversals else "",
        f"counts {', '.join(each.deposit.offer.deposit_id for each in entry.recounts)}" if entry.recounts else "",
        f"seq {outcomes[0].seq} to {outcomes[-1].seq}" if outcomes else "",
        f"queues {', '.join(each.request.request_id for each in entry.queued)}" if entry.queued else "",
    )
    return f"term {entry.term}, {', '.join(filter(None, parts))}"


def describe_result(result: Result) -> str:
    """One line on what it says."""
    name = type(result).__name__
    if isinstance(result, Taken):
        return f"{name}({describe_entry(result.entry) if result.entry is not None else 'its body is cut away'})"
    if isinstance(result, Loaded):
        return f"{name}(made {result.made}, {len(result.entries)} entries more, {len(result.queue)} pending)"
    return name


def _describe_reply(reply: object) -> str:
    if isinstance(reply, Outcome):
        return f"{reply.status} (seq {reply.seq})"
    if isinstance(reply, Deposit):
        return f"deposited ({reply.offer.deposit_id})"
    return str(reply) if isinstance(reply, Exception) else type(reply).__name__


def describe_error(error: BaseException) -> str:
    """What was raised, and where."""
    return f"{type(error).__name__}: {error} (in {place_of(error)})"


def place_of(error: BaseException) -> str:
    """The function and the line in which it was raised."""
    traceback = error.__traceback__
    assert traceback is not None, "it was raised"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_qualname}, line {traceback.tb_lineno}"
