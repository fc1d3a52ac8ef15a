-------------------------------- MODULE Small --------------------------------
(* Ledger.tla made small enough to walk all of it: two requests for one unit. *)
EXTENDS Ledger

CONSTANTS
  Requests,  \* of "r1" and "r2"; r1 has the lower clock
  Leaves     \* whether a crash is a step of its own; who takes no step any more has crashed in any case
OneUnit  == "stock" :> 1

Queue(t) ==
  /\ trader[t].is = "office" /\ Status(trader[t].docs, "r1") = None
  /\ Trade(t, trader[t].place + 1, {"r1"}, "r1" :> Queued, Nothing)

Decide(t, r) ==
  LET docs == trader[t].docs
      has  == Val(docs, "stock") > 0
      new  == IF Status(docs, r) = Queued THEN {} ELSE {r}
  IN /\ trader[t].is = "office" /\ Status(docs, r) \in {None, Queued}
     /\ r = "r2" => Status(docs, "r1") # Queued
     /\ Trade(t, trader[t].place + 1, new, r :> (IF has THEN Sold ELSE Unavailable),
              IF has THEN "stock" :> (-1) ELSE Nothing)

Bases == LET oldest == made - Stale IN (IF oldest > cut THEN oldest ELSE cut)..made
Ends  == LET end == Len(IF Rule = "localRead" THEN Primary ELSE log) IN (IF end > Stale THEN end - Stale ELSE 0)..end

Next ==
  \/ \E a \in sent : IF MaxTail > 0 THEN Land(a) ELSE Stand(a)
  \/ Settle \/ LoseEnd
  \/ \E t \in Traders :
       \/ \E base \in Bases, end \in Ends : Load(t, base, end)
       \/ Bid(t, trader[t].place + 1)
       \/ Queue(t) \/ \E r \in Requests : Decide(t, r)
       \/ (Rule = "nextPlace" /\ Again(t))
       \/ Appended(t) \/ Taken(t) \/ AlreadyRecorded(t) \/ EndLost(t) \/ (Leaves /\ Leave(t))
  \/ \E m \in making : SayMade(m) \/ \E d \in DOMAIN m.docs : Make(m, {d})
  \/ (WithCuts /\ Cut(made - 1))
Spec == Init /\ [][Next]_vars

Alike == Permutations(Traders)

\* Nobody was served while one with a lower clock was already waiting.
LowestFirst == \A p \in Decisions(log, "r2"), q \in Places(log) :
  "r1" \in DOMAIN log[q].puts /\ log[q].puts["r1"] = Queued /\ q < p => \E d \in Decisions(log, "r1") : d < p
=============================================================================
