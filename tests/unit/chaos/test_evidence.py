"""Whether a fault is seen to have mattered: by what can be put down to it, and by nothing else."""

from __future__ import annotations

import msgspec

from peers.chaos.events import Heard, Injected, Newcomer, Sale
from peers.chaos.evidence import never_mattered, with_evidence
from peers.chaos.gaps import Gap, gaps, pauses
from peers.chaos.history import History
from peers.chaos.kinds import Kind
from tests.unit.chaos.made_up import fault, history, sale, steady


def hurt(kind: Kind, *, number: int = 1, given_up: int = 0, peers: tuple[str, ...] = ()) -> Injected:
    made = fault(kind, 5.0, 6.0, number=number)
    made.given_up, made.peers = given_up, peers
    return made


def seen(made: History) -> list[Gap]:
    return with_evidence(gaps(made.faults, pauses(made.sales, 20)), made)


def test_a_caller_that_gave_up_is_evidence_whatever_else_there_was() -> None:
    (gap,) = seen(history(steady(20), [hurt("jam", given_up=3)]))
    assert gap.mattered == "callers gave up on 3 connections"


def test_a_pause_and_another_trader_count_where_no_other_fault_was_at_work() -> None:
    with_pause = steady(20, [(5.2, 6.0)])
    (alone,) = seen(history(with_pause, [hurt("cut-database")]))
    assert alone.mattered == "another trader took over"
    both = seen(history(with_pause, [hurt("cut-customers"), hurt("slow-wire", number=2)]))
    assert [gap.mattered for gap in both] == ["", ""]
    assert never_mattered([alone, *both]) == ["cut-customers", "slow-wire"]


def test_what_peers_said_of_those_that_were_hit_counts() -> None:
    made = history(steady(20), [hurt("hang-peer", peers=("buyer1",))])
    made.heard.append(Heard(at_s=5.9, said="buyer1 notices that seller2 is gone"))
    made.heard.append(Heard(at_s=5.9, said="seller2 notices that buyer10 is gone"))
    assert seen(made)[0].mattered == ""
    made.heard.append(Heard(at_s=5.9, said="seller2 notices that buyer1 is gone"))
    assert seen(made)[0].mattered == "seller2 notices that buyer1 is gone"


def test_what_was_said_of_a_peer_counts_for_none_of_several_faults_that_were_at_work_on_it() -> None:
    clock, kill = fault("set-clock", 5.0, 10.0), fault("kill-peer", 7.0, number=2)
    elsewhere = fault("kill-peer", 7.0, number=3)
    clock.peers = kill.peers = ("seller3",)
    elsewhere.peers = ("buyer1",)
    gone = [Heard(at_s=7.9, said=f"buyer2 notices that {name} is gone") for name in ("seller3", "buyer1")]
    both = history(steady(20), [clock, kill, elsewhere])
    both.heard += gone
    assert [gap.mattered for gap in seen(both)] == ["", "", gone[1].said]
    after = history(steady(20), [fault("set-clock", 1.0, 4.0), kill])
    after.faults[0].peers = ("seller3",)
    after.heard += gone
    assert [gap.mattered for gap in seen(after)] == ["", gone[0].said]


def test_what_was_said_of_the_books_counts_for_none_of_several_faults_that_were_at_work_on_them() -> None:
    said = Heard(at_s=5.5, said="seller1: the books cannot be reached, trade pauses (no answer)")
    stopped, cut = fault("stop-mongod", 5.0, 6.0), fault("cut-database", 5.2, 6.0, number=2)
    for faults, mattered in (([stopped], [said.said]), ([cut], [said.said]), ([stopped, cut], ["", ""])):
        made = history(steady(20), faults)
        made.heard.append(said)
        assert [gap.mattered for gap in seen(made)] == mattered


def test_who_came_has_mattered_with_the_first_sale() -> None:
    sales = steady(20)
    came = hurt("join", peers=("merchant8",))
    assert seen(history(sales, [came]))[0].mattered == ""
    later = msgspec.structs.replace(sale(9.0), buyer="merchant8")
    assert seen(history([*sales, later], [came]))[0].mattered == "merchant8 had a part in a sale"


def test_once_is_enough_for_a_kind() -> None:
    first, second = seen(history(steady(20), [hurt("jam"), hurt("jam", number=2, given_up=1)]))
    assert not first.mattered
    assert never_mattered([first, second]) == []


def test_a_name_server_has_mattered_where_somebody_new_waited_for_it() -> None:
    made = history(steady(20), [hurt("kill-nameserver")])
    made.newcomers.append(Newcomer(at_s=1.0, waited_s=3.9))
    made.newcomers.append(Newcomer(at_s=8.0, waited_s=3.9))
    assert seen(made)[0].mattered == ""
    made.newcomers.append(Newcomer(at_s=4.5, waited_s=0.9))
    assert seen(made)[0].mattered == "a new customer waited for the name server for 0.9 s"


def test_what_was_seen_of_it_while_it_was_carried_out_counts() -> None:
    fell = hurt("squeeze-peer", peers=("buyer1",))
    fell.seen = "buyer1 ended for want of memory"
    assert seen(history(steady(20), [fell]))[0].mattered == fell.seen


def test_who_has_far_fewer_sales_than_before_felt_it_but_not_where_all_have() -> None:
    def sales(hit_share: float, *, all_pause: bool = False) -> list[Sale]:
        others = [sale(each / 20, seq=each) for each in range(400) if not (all_pause and 100 <= each < 120)]
        hit = [each / 20 for each in range(400) if not 100 <= each < 120 or each % 10 < 10 * hit_share]
        mine = [] if all_pause else [msgspec.structs.replace(sale(at_s), buyer="buyer1") for at_s in hit]
        return others + mine

    slow = [hurt("slow-disk", peers=("buyer1",))]
    assert (
        seen(history(sales(0.2), slow))[0].mattered
        == "buyer1 had a part in 4 sales, where about 12 were to be expected"
    )
    killed = fault("kill-peer", 5.5, number=2)
    killed.peers = ("buyer1",)
    assert seen(history(sales(0.2), [*slow, killed]))[0].mattered == ""
    assert seen(history(sales(0.7), slow))[0].mattered == ""
    other = [hurt("cut-customers"), hurt("slow-disk", number=2, peers=("buyer1",))]
    assert seen(history(sales(1.0, all_pause=True), other))[1].mattered == ""
