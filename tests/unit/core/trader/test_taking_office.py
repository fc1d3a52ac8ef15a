"""A bid for the post: the log is read to its end and the office entry written there, whoever comes in between."""

from __future__ import annotations

import pytest

from db.ledger.memory import MemoryLedger
from peers.core.leadership.reasons import VacancyReason
from peers.core.ledger.log import NOWHERE, Entry, OfficeEntry
from peers.core.ledger.port import Append, Appended, LedgerAway, Load, Loaded, Result, Taken, Unknown
from peers.core.market.records import Post
from peers.core.reports import LedgerBack, LedgerTrouble
from peers.core.trader.taking_office import Lost, TakingOffice
from tests.helpers.deals import accepted, at, office, stock, trade, unavailable
from tests.helpers.log_trader import LogTrader, summary, trade_a_while
from tests.unit.core.trader.candidate import Candidate
from tests.unit.core.words import T0_MS, peer, rules

AWAY = LedgerAway(why="refused")
LOST = Unknown(why="timeout")
FISH = stock("d1", 9)
PREDECESSOR = "merchant8"
SUSPECT_S = rules().timing.suspect_s


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def predecessor(ledger: MemoryLedger) -> LogTrader:
    """In office for term 1, with goods in stock and a request that waits."""
    trader = LogTrader(ledger, PREDECESSOR).take_office()
    trader.write(deposits=(FISH,), queued=(accepted(1),))
    return trader


def last_entry(ledger: MemoryLedger) -> Entry | None:
    return ledger.entry_at(ledger.end)


# -- nobody in the way -------------------------------------------------------------------------------------


def test_the_first_trader_of_all_writes_the_first_entry(ledger: MemoryLedger) -> None:
    candidate = Candidate(ledger, after_term=0, reason=VacancyReason.START)
    assert candidate.asked == [Load()]
    candidate.reads()
    assert candidate.ended is None
    operation = candidate.writes()
    assert operation.place == 0
    entry = operation.entry
    assert isinstance(entry, OfficeEntry)
    assert (entry.term, entry.trader, entry.reason, entry.written_at_ms) == (1, "merchant9", "start", T0_MS)
    assert candidate.won.state.post == Post(term=1, trader="merchant9", since_ms=T0_MS, uri="uri-of-merchant9")
    assert last_entry(ledger) == entry


@pytest.mark.parametrize("makes_books", [True, False], ids=["books made", "books left behind"])
def test_a_successor_takes_over_what_the_log_adds_up_to(ledger: MemoryLedger, makes_books: bool) -> None:
    old = LogTrader(ledger, PREDECESSOR, makes_books=makes_books).take_office()
    trade_a_while(old, 12)
    candidate = Candidate(ledger)
    candidate.reads()
    candidate.writes()
    won, before = summary(candidate.won.state), summary(old.state)
    assert (won["queue"], won["stock"], won["place"]) == (before["queue"], before["stock"], before["place"] + 1)
    assert (won["post"].term, won["post"].seq, won["post"].arrival) == (2, old.state.post.seq, old.state.post.arrival)
    to_make = candidate.won.to_make
    assert [each.place for each in to_make] == ([ledger.end] if makes_books else list(range(ledger.end + 1)))
    for changes in to_make:
        ledger.perform(changes)
    assert ledger.made == ledger.end


def test_each_bid_of_a_peer_writes_an_entry_of_its_own(ledger: MemoryLedger) -> None:
    candidate = Candidate(ledger, after_term=0)
    candidate.reads()
    first = candidate.writes()
    candidate.bid, candidate.ended = TakingOffice(candidate.ctx, 1, VacancyReason.RESIGNED), None
    candidate._take_commands()
    candidate.reads()
    assert candidate.writes().entry.entry_id != first.entry.entry_id


# -- somebody in the way -----------------------------------------------------------------------------------


def test_the_last_words_of_the_trader_before_are_read_before_taking_over(
    ledger: MemoryLedger, predecessor: LogTrader
) -> None:
    candidate = Candidate(ledger)
    candidate.reads()
    predecessor.write(predecessor.sale(1, 1, FISH), queued=(accepted(2),))
    refused = candidate.writes()
    assert candidate.ended is None
    assert candidate.ctx.counters == {"office_place_taken": 1}
    candidate.reads()
    operation = candidate.writes()
    assert operation.place == refused.place + 1
    assert candidate.won.state.post.seq == 1
    assert list(candidate.won.state.queue) == ["r2"]
    assert last_entry(ledger) == operation.entry


def test_who_read_an_end_that_is_not_the_end_any_more_reads_again(
    ledger: MemoryLedger, predecessor: LogTrader
) -> None:
    stale = ledger.perform(Load())
    for number in range(2, 6):
        predecessor.write(queued=(accepted(number),))
    candidate = Candidate(ledger)
    candidate.reads(stale)
    candidate.writes()
    candidate.reads()
    candidate.writes()
    assert len(candidate.won.state.queue) == 5


def test_a_trader_that_goes_on_and_on_is_followed_to_the_end(ledger: MemoryLedger, predecessor: LogTrader) -> None:
    candidate = Candidate(ledger)
    for number in range(2, 8):
        candidate.reads()
        predecessor.write(queued=(accepted(number),))
        candidate.writes()
        assert candidate.ended is None
    candidate.reads()
    candidate.writes()
    assert candidate.won.state.post.term == 2


def test_the_trader_before_is_out_as_soon_as_the_post_is_taken(ledger: MemoryLedger, predecessor: LogTrader) -> None:
    candidate = Candidate(ledger)
    candidate.reads()
    mine = candidate.writes().entry
    late = predecessor.entry(unavailable(accepted(1), 1))
    assert predecessor.append(late) == Taken(entry=mine)


@pytest.mark.usefixtures("predecessor")
def test_a_rival_that_was_faster_has_won(ledger: MemoryLedger) -> None:
    candidate = Candidate(ledger)
    candidate.reads()
    LogTrader(ledger, "merchant7").take_office()
    candidate.writes()
    assert candidate.ended is None
    candidate.reads()
    assert candidate.lost_to == (2, "merchant7")
    assert ledger.end == 2


@pytest.mark.usefixtures("predecessor")
def test_a_rival_and_its_whole_term_in_between_are_seen(ledger: MemoryLedger) -> None:
    candidate = Candidate(ledger)
    candidate.reads()
    rival = LogTrader(ledger, "merchant7").take_office()
    trade_a_while(rival, 5, first=10)
    LogTrader(ledger, "merchant6").take_office()
    candidate.writes()
    candidate.reads()
    assert candidate.lost_to == (3, "merchant6")


@pytest.mark.parametrize("after_term", [0, 2, 7])
def test_who_wants_to_follow_another_term_than_the_last_is_told_which_it_is(
    ledger: MemoryLedger, predecessor: LogTrader, after_term: int
) -> None:
    candidate = Candidate(ledger, after_term=after_term)
    candidate.reads()
    assert candidate.ended == Lost(predecessor.state.post)
    assert candidate.asked == [Load()]
    assert ledger.end == predecessor.state.place


@pytest.mark.usefixtures("predecessor")
def test_of_rivals_one_wins(ledger: MemoryLedger) -> None:
    candidates = [Candidate(ledger), Candidate(ledger), Candidate(ledger)]
    for number, each in enumerate(candidates):
        each.ctx.me = peer(number, "buyer")
        each.reads()
    for each in reversed(candidates):
        each.writes()
    for each in candidates[:2]:
        each.reads()
    assert candidates[2].won.state.post.term == 2
    assert [each.lost_to for each in candidates[:2]] == [(2, "buyer2")] * 2


# -- the ledger is away, or its answer is lost ---------------------------------------------------------------


@pytest.mark.parametrize("result", [AWAY, LOST], ids=["away", "no answer"])
def test_a_candidate_that_cannot_read_tries_again_and_people_are_told_once(
    ledger: MemoryLedger, result: Result
) -> None:
    candidate = Candidate(ledger, after_term=0)
    for tries in range(1, 4):
        candidate.reads(result)
        assert candidate.asked == [Load()] * tries
        candidate.tries_again()
    assert [type(report) for report in candidate.reports] == [LedgerTrouble]
    candidate.reads()
    assert [type(report) for report in candidate.reports] == [LedgerTrouble, LedgerBack]
    candidate.writes()
    assert candidate.won.state.place == 0


@pytest.mark.parametrize("result", [AWAY, LOST], ids=["away", "in doubt"])
def test_an_office_entry_that_did_not_get_there_is_written_again_as_it_is(
    ledger: MemoryLedger, result: Result
) -> None:
    candidate = Candidate(ledger, after_term=0)
    candidate.reads()
    first = candidate.writes(result)
    candidate.tries_again()
    assert candidate.writes() == first
    assert candidate.won.state.place == 0
    assert ledger.end == 0


def test_an_office_entry_that_stood_all_the_while_is_found(ledger: MemoryLedger, predecessor: LogTrader) -> None:
    candidate = Candidate(ledger)
    candidate.reads()
    mine = candidate.asked[-1]
    assert ledger.perform(mine) == Appended()
    candidate.writes(LOST)
    assert candidate.ended is None
    candidate.tries_again()
    assert candidate.writes() == mine
    assert candidate.won.state.post.term == 2
    assert ledger.end == predecessor.state.place + 1


@pytest.mark.usefixtures("predecessor")
def test_while_its_entry_is_in_doubt_a_rival_may_win(ledger: MemoryLedger) -> None:
    candidate = Candidate(ledger)
    candidate.reads()
    candidate.writes(LOST)
    LogTrader(ledger, "merchant7").take_office()
    candidate.tries_again()
    candidate.writes()
    candidate.reads()
    assert candidate.lost_to == (2, "merchant7")


# -- a log that is not sound -------------------------------------------------------------------------------


@pytest.mark.usefixtures("predecessor")
def test_nobody_takes_over_a_log_that_is_not_sound(ledger: MemoryLedger) -> None:
    stranger = trade(unavailable(accepted(1), 1), known=("r1",), trader="stranger")
    ledger.perform(at(ledger.end + 1, stranger))
    candidate = Candidate(ledger)
    for _ in range(2):
        candidate.reads()
        assert candidate.ended is None
        assert all(isinstance(operation, Load) for operation in candidate.asked)
        candidate.tries_again()
    (trouble,) = candidate.reports
    assert isinstance(trouble, LedgerTrouble)
    assert "not sound: stranger is not in office" in trouble.why
    assert "`bazaar audit`" in trouble.why
    # By now, somebody has mended the log.
    candidate.reads(Loaded(made=NOWHERE, post=Post(), queue=(), stock=(), entries=(office(1, PREDECESSOR),)))
    assert [type(report) for report in candidate.reports] == [LedgerTrouble, LedgerBack]
    assert candidate.asked[-1] == at(1, last_written(candidate))


def last_written(candidate: Candidate) -> Entry:
    operation = candidate.asked[-1]
    assert isinstance(operation, Append)
    return operation.entry


# -- answers that are not meant ----------------------------------------------------------------------------


@pytest.mark.usefixtures("predecessor")
def test_answers_that_are_not_meant_change_nothing(ledger: MemoryLedger) -> None:
    candidate = Candidate(ledger)
    candidate.hears(at(2, office(2, "merchant9")), Appended())
    assert (candidate.ended, len(candidate.asked)) == (None, 1)
    candidate.reads()
    mine = candidate.asked[-1]
    candidate.hears(Load(), ledger.perform(Load()))
    candidate.hears(Load(), AWAY)
    candidate.hears(at(2, office(2, "merchant9")), Appended())
    candidate.hears(at(1, last_written(candidate)), Appended())
    assert (candidate.ended, candidate.asked[-1], len(candidate.asked)) == (None, mine, 2)
    candidate.writes()
    place = candidate.won.state.place
    candidate.hears(mine, Appended())  # `hears` complains of a second end.
    candidate.hears(Load(), ledger.perform(Load()))
    candidate.bid.on_timer()
    candidate._take_commands()
    assert (len(candidate.asked), candidate.won.state.place) == (2, place)
