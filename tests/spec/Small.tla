-------------------------------- MODULE Small --------------------------------
(* Ledger.tla made small enough to walk all of it: two requests for one unit. *)
EXTENDS Ledger

CONSTANTS
  Requests,  \* of "r1" and "r2"; r1 has the lower clock
  Wanted,    \* which of the sights have to be seen
  Leaves     \* whether a crash is a step of its own; who takes no step any more has crashed in any case
OneUnit  == "stock" :> 1
OneArea  == [t \in Traders |-> "all"]
TwoAreas == LET south == CHOOSE t \in Traders : TRUE IN [t \in Traders |-> IF t = south THEN "south" ELSE "north"]

Queue(t) ==
  /\ trader[t].is = "office" /\ Status(trader[t].docs, "r1") = None
  /\ Trade(t, trader[t].place + 1, {"r1"}, "r1" :> Queued, Nothing)

Decide(t, r) ==
  LET docs == trader[t].docs
      has  == Val(docs, "stock") > 0
      new  == IF Status(docs, r) = Queued THEN {} ELSE {r}
  IN /\ trader[t].is = "office" /\ Status(docs, r) \in {None, Queued}
     /\ r = "r2" => Status(docs, "r1") # Queued \/ ~IsOurs(t, "r1")
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
       \/ Behind(t) \/ ReadOn(t, Len(log))
       \/ Appended(t) \/ Taken(t) \/ AlreadyRecorded(t) \/ EndLost(t) \/ (Leaves /\ Leave(t))
  \/ \E m \in making : SayMade(m) \/ \E d \in DOMAIN m.docs : Make(m, {d})
  \/ (WithCuts /\ Cut(made - 1))
Spec == Init /\ [][Next]_vars

Alike == {f \in Permutations(Traders) : \A t \in Traders : AreaOf[f[t]] = AreaOf[t]}

\* Nobody was served in an area while one with a lower clock was already waiting there.
LowestFirst == \A p \in Decisions(log, "r2"), q \in Places(log) :
  ("r1" \in DOMAIN log[q].puts /\ log[q].puts["r1"] = Queued /\ q < p /\ AreaOf[log[q].by] = AreaOf[log[p].by])
     => \E d \in Decisions(log, "r1") : d < p
(* ---- What has to happen somewhere, or nothing was tried; each is told when it is seen first ---- *)

IsOn(t, is) == trader[t].is = is /\ underWay[t] # None
Beaten(t)   == underWay[t].place \in Places(log) /\ log[underWay[t].place] # underWay[t].entry
Sees(sight) ==
  CASE sight = "deposed without knowing it" ->
         \E t \in Traders : trader[t].is = "office" /\ TermAt(log, Len(log), AreaOf[t]) > trader[t].term
    [] sight = "a deposed trader's entry refused"       -> \E t \in Traders : IsOn(t, "office") /\ Beaten(t)
    [] sight = "a candidate's place taken"              -> \E t \in Traders : IsOn(t, "writing") /\ Beaten(t)
    [] sight = "an entry that stands unanswered"    ->
         \E t \in Traders : underWay[t] # None /\ underWay[t].place \in Places(log) /\ ~Beaten(t)
    [] sight = "a late entry of one who has left"       ->
         \E a \in sent : trader[a.entry.by].is = "out" /\ Fits(Primary, a)
    [] sight = "another area's entry in ones place"     ->
         \E t \in Traders : IsOn(t, "office") /\ Beaten(t) /\ IsOthers(t, underWay[t].place)
    [] sight = "both areas have sold"                   -> \E p, q \in Places(log) :
         /\ \E r \in Requests : p \in Decisions(log, r) /\ \E s \in Requests : q \in Decisions(log, s)
         /\ AreaOf[log[p].by] # AreaOf[log[q].by]
    [] sight = "what waits in the other area"           ->
         \E t \in Traders : trader[t].is = "office" /\ Status(trader[t].docs, "r1") = Queued /\ ~IsOurs(t, "r1")
    [] sight = "a third term"                           -> \E p \in Places(log) : log[p].term = 3
    [] sight = "both are decided"                       -> \A r \in Requests : Decisions(log, r) # {}
    [] sight = "ids that the log has"                   ->
         \E t \in Traders : underWay[t] # None /\ HasIds(log, underWay[t].entry)
    [] sight = "what waited is decided by a successor"  ->
         \E p, q \in Places(log) : /\ "r1" \in DOMAIN log[p].puts /\ log[p].puts["r1"] = Queued
                                   /\ q \in Decisions(log, "r1") /\ log[p].term < log[q].term
    [] sight = "a place taken before a majority has it" ->
         tail # <<>> /\ \E a \in sent : a.place = Head(tail).place /\ a # Head(tail)
    [] sight = "books that are behind"                  -> \E t \in Traders : trader[t].toMake # {}
    [] sight = "books newer than they say"              ->
         \E t \in Traders : trader[t].is = "read" /\ \E d \in DOMAIN books : At(books, d) > made
    [] sight = "a late maker"                           ->
         \E m \in making : \E d \in DOMAIN m.docs : At(books, d) > m.at
    [] sight = "all is made"                            -> Len(log) > 3 /\ made = Len(log)
    [] sight = "a trader behind a cut"                  -> cut > 0 /\ \E p \in Places(log) : p > cut /\ log[p].kind = "office"
    [] sight = "an end that was told and is lost"       ->
         \E t \in Traders : trader[t].is = "office" /\ trader[t].place > Len(Primary)
    [] sight = "an end that is missed"                  ->
         \E t \in Traders : IsOn(t, "office") /\ underWay[t].place > Len(Primary) /\ ~IsBehind(Primary, underWay[t])
ASSUME TLCSet(1, Wanted)
Look == \A sight \in TLCGet(1) : Sees(sight) => PrintT(<<"seen", sight>>) /\ TLCSet(1, TLCGet(1) \ {sight})
=============================================================================
