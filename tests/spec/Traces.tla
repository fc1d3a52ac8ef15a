-------------------------------- MODULE Traces --------------------------------
(* Walks along what was seen of schedules of the simulator: is every step one of Ledger.tla? *)
EXTENDS Ledger
CONSTANTS
  Seen    \* the traces, each with its entries and its steps (Seen.tla, which is made of them)
VARIABLES
  number, \* which of the traces it is
  gone    \* so many of its steps were gone
Entries == Seen[number].entries
Steps   == Seen[number].steps

AppendOf(step) == [place |-> step[4], entry |-> Entries[step[3]]]
Stands(places, said) == \E p \in places :
  p \in DOMAIN log /\ IF said[2] = None THEN said[1] \in log[p].new
                      ELSE said[1] \in DOMAIN log[p].puts /\ log[p].puts[said[1]] = said[2]

\* A step is <<kind, trader, number of the entry, place, …>>.
Is(step) ==
  LET kind == step[1]  t == step[2]
      e    == Entries[step[3]]
  IN CASE kind = "load"     -> Load(t, step[5], step[4])
       [] kind = "bid"      -> step[3] > 0 /\ Bid(t, e.id) /\ underWay'[t] = AppendOf(step)
       [] kind = "trade"    -> Trade(t, e.id, e.new, e.puts, e.moves) /\ underWay'[t] = AppendOf(step)
       [] kind = "again"    -> underWay[t] = AppendOf(step) /\ Again(t)
       [] kind = "stand"    -> step[3] > 0 /\ Stand(AppendOf(step))
       [] kind = "land"     -> step[3] > 0 /\ Land(AppendOf(step))
       [] kind = "settle"   -> tail # <<>> /\ Head(tail) = AppendOf(step) /\ Settle
       [] kind = "lose"     -> LoseEnd
       [] kind = "appended" -> Appended(t)
       [] kind = "taken"    -> Taken(t)
       [] kind = "behind"   -> Behind(t)
       [] kind = "read on"  -> ReadOn(t, step[4])
       [] kind = "already recorded" -> AlreadyRecorded(t)
       [] kind = "leave"    -> IF trader[t].is = "out" THEN UNCHANGED vars ELSE Leave(t)
       [] kind = "make"     -> \E m \in making : /\ m.at = step[4] /\ DOMAIN step[5] \subseteq DOMAIN m.docs
                                                 /\ \A d \in DOMAIN step[5] : m.docs[d].val = step[5][d]
                                                 /\ Make(m, DOMAIN step[5])
       [] kind = "say made" -> \E m \in making : m.at = step[4] /\ SayMade(m)
       [] kind = "told"     -> Stands(step[6], step[5]) /\ UNCHANGED vars

Next ==
  /\ gone < Len(Steps) /\ Is(Steps[gone + 1])
  /\ gone' = gone + 1 /\ number' = number
  /\ PrintT(<<"gone", number, gone'>>)
Spec == Init /\ number \in DOMAIN Seen /\ gone = 0 /\ [][Next]_<<vars, number, gone>>

\* A trace has one state after each of its steps.
View == <<number, gone>>
=============================================================================
