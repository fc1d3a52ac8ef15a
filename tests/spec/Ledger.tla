------------------------------- MODULE Ledger -------------------------------
(* The fence of the ledger: places, terms, unknown outcomes, taking over, and *)
(* the books that are made behind the log. README.md says what it leaves out. *)
(* Places count from 1 here, for sequences do: NOWHERE is 0.                  *)
EXTENDS Integers, Sequences, FiniteSets, TLC

CONSTANTS
  Queued, Sold, Unavailable, TakenBack,  \* what a request may be; told are only the last three
  Traders,    \* each of them is one bid for the post and, if it is won, one term
  AreaOf,     \* by trader, whose post that is: areas may share a log, each with terms and a queue of its own
  None,
  Opening,    \* the units of each deposit before the first entry
  MaxTail,    \* so many entries at most the primary has and a majority has not yet
  Stale,      \* by so many entries at most what a candidate reads is old
  WithBooks,  \* whether books are made, or the log is left alone
  WithCuts,   \* whether the log is cut behind them
  Level,      \* the write level: "majority", or "one" member
  Rule        \* "design", or the rule that is broken

VARIABLES
  log,        \* what a majority has: by place, the entry
  tail,       \* what only the primary has: appends, lost with it
  sent,       \* appends that are on their way: each may land at any time, more than once, or never
  trader,     \* what each trader is about, and what it knows
  underWay,   \* its one append whose fate it does not know yet
  books,      \* what a majority has of them: by document, its value and the place that put it there
  made,       \* up to which entry the books say that they are made
  making,     \* what was handed to the makers of the books; they are late, do it twice, or never
  cut         \* the bodies of the entries up to here are gone
vars == <<log, tail, sent, trader, underWay, books, made, making, cut>>

NOWHERE == 0
Final   == {Sold, Unavailable}
Over    == {Sold, Unavailable, TakenBack, 0}  \* what a trader need not know of requests and deposits
Nothing == [x \in {} |-> 0]

\* Of requests the value is their status, of deposits how many units are left.
OpeningBooks == [d \in DOMAIN Opening |-> [at |-> NOWHERE, val |-> Opening[d]]]
At(docs, d)  == IF d \in DOMAIN docs THEN docs[d].at ELSE NOWHERE
Val(docs, d) == IF d \in DOMAIN docs THEN docs[d].val ELSE 0
Status(docs, r) == IF r \in DOMAIN docs THEN docs[r].val ELSE None

Nobody == [is |-> "out", place |-> NOWHERE, term |-> 0, docs |-> Nothing, toMake |-> {}]

Init ==
  /\ log = <<>> /\ tail = <<>> /\ sent = {}
  /\ trader = [t \in Traders |-> [Nobody EXCEPT !.is = "new"]]
  /\ underWay = [t \in Traders |-> None]
  /\ books = OpeningBooks /\ made = NOWHERE /\ making = {} /\ cut = NOWHERE

(* ---- Entries, and the fold (peers/core/ledger/log.py, post_state.py) ---- *)

\* `id` is of the writer's making, `new` are the ids that come in with it, `puts` the requests that it leaves with
\* another status, `moves` by how much it changes deposits.
Entry(id, kind, t, term, new, puts, moves) ==
  [id |-> id, kind |-> kind, by |-> t, term |-> term, new |-> new, puts |-> puts, moves |-> moves]
OfficeEntry(id, t, term) == Entry(id, "office", t, term, {}, Nothing, Nothing)

\* The last place up to p that was written for an area, and its term.
RECURSIVE LastOf(_, _, _)
LastOf(entries, p, area) ==
  IF p = NOWHERE \/ AreaOf[entries[p].by] = area THEN p ELSE LastOf(entries, p - 1, area)
TermAt(entries, p, area) == LET q == LastOf(entries, p, area) IN IF q = NOWHERE THEN 0 ELSE entries[q].term

\* What the entry at place p leaves of the documents that are older than it.
Changed(docs, p, e) ==
  [d \in {x \in DOMAIN e.puts \union DOMAIN e.moves : At(docs, x) < p} |->
     [at |-> p, val |-> IF d \in DOMAIN e.puts THEN e.puts[d] ELSE Val(docs, d) + e.moves[d]]]
TakeIn(docs, p, e) == Changed(docs, p, e) @@ docs

RECURSIVE Fold(_, _, _, _)
Fold(docs, entries, p, end) ==
  IF p > end THEN docs ELSE Fold(TakeIn(docs, p, entries[p]), entries, p + 1, end)

\* What is to be made of the books for the entry at place p: all its requests, whatever the trader was told of them.
Made(docs, p, e) == [at |-> p, docs |-> [r \in DOMAIN e.puts |-> [at |-> p, val |-> e.puts[r]]] @@ Changed(docs, p, e)]

\* The same for the entries p to end.
RECURSIVE ToMake(_, _, _, _)
ToMake(docs, entries, p, end) ==
  IF p > end \/ ~WithBooks THEN {}
  ELSE {Made(docs, p, entries[p])}
       \union ToMake(TakeIn(docs, p, entries[p]), entries, p + 1, end)

\* A new trader knows what waits, what is in stock, and what is newer than the books say; not what was decided.
Known(docs, base) ==
  LET kept == {d \in DOMAIN docs : docs[d].at > base \/ docs[d].val \notin Over}
  IN [d \in kept |-> docs[d]]
Forgotten(docs) == Known(docs, Len(log) + 1)

\* What was handed to the makers and can change nothing any more is forgotten, for fewer states.
Unmade(ms, docs, upTo) ==
  {m \in ms : Rule = "noGuard" \/ m.at > upTo \/ \E d \in DOMAIN m.docs : At(docs, d) < m.at}

(* ---- The log (db/ledger/mongo.py, levels.py, memory.py) ---- *)

Put(entries, a) == IF a.place = Len(entries) + 1 THEN Append(entries, a.entry)
                   ELSE (a.place :> a.entry) @@ entries
RECURSIVE With(_, _)
With(entries, appends) == IF appends = <<>> THEN entries ELSE With(Put(entries, Head(appends)), Tail(appends))
Primary == With(log, tail)

IsTaken(entries, p) == p \in DOMAIN entries /\ ~(Rule = "cutFrees" /\ p <= cut) /\ Rule # "placeTwice"
HasIds(entries, e)  == e.new # {} /\ \E p \in DOMAIN entries : entries[p].new \intersect e.new # {}
IsBehind(entries, a) ==  \* The place before holds an entry of the same term; asked for below a majority only.
  \/ Level = "majority" \/ a.entry.kind = "office" \/ Rule = "blind"
  \/ a.place - 1 \in DOMAIN entries /\ entries[a.place - 1].term = a.entry.term
Fits(entries, a) == /\ ~IsTaken(entries, a.place) /\ IsBehind(entries, a)
                    /\ Rule = "idsTwice" \/ ~HasIds(entries, a.entry)

\* What can never land any more is forgotten, for fewer states.
Live(appends, entries) ==
  {a \in appends : ~IsTaken(entries, a.place) /\ (Rule = "idsTwice" \/ ~HasIds(entries, a.entry))}

\* An append lands with the primary. Where it does not fit, it changes nothing.
Land(a) ==
  /\ a \in sent /\ Len(tail) < MaxTail /\ Fits(Primary, a)
  /\ tail' = Append(tail, a)
  /\ UNCHANGED <<log, sent, trader, underWay, books, made, making, cut>>

\* The same, and a majority has it at once.
Stand(a) ==
  /\ a \in sent /\ tail = <<>> /\ Fits(log, a)
  /\ log' = Put(log, a) /\ sent' = Live(sent, log')
  /\ UNCHANGED <<tail, trader, underWay, books, made, making, cut>>

\* A majority has the oldest of what only the primary had.
Settle ==
  /\ tail # <<>>
  /\ log' = Put(log, Head(tail)) /\ tail' = Tail(tail) /\ sent' = Live(sent, log')
  /\ UNCHANGED <<trader, underWay, books, made, making, cut>>

\* Another member is primary now, and has only some of what a majority did not have.
LoseEnd ==
  /\ \E kept \in 0..(Len(tail) - 1) : tail' = SubSeq(tail, 1, kept)
  /\ UNCHANGED <<log, sent, trader, underWay, books, made, making, cut>>

(* ---- Traders (peers/core/trader/taking_office.py, committer.py) ---- *)

Sends(t, p, e) ==
  /\ underWay' = [underWay EXCEPT ![t] = [place |-> p, entry |-> e]]
  /\ sent' = Live(sent \union {[place |-> p, entry |-> e]}, log)

\* A candidate reads how far the books say that they are made, then the documents, then the log to its end.
Load(t, base, end) ==
  LET entries == IF Rule = "localRead" THEN Primary ELSE log
      docs    == CASE ~WithBooks -> OpeningBooks
                   [] Rule = "docsFirst" /\ base > NOWHERE -> OpeningBooks
                   [] OTHER -> Known(books, base)
      term    == TermAt(entries, end, AreaOf[t])
  IN /\ trader[t].is \in {"new", "reading"}
     /\ base \in cut..made /\ base + Stale >= made
     /\ base <= end /\ end <= Len(entries) /\ end + Stale >= Len(entries)
     /\ trader' = [trader EXCEPT ![t] =
          IF trader[t].is = "reading" /\ term # trader[t].term
          THEN Nobody  \* Somebody else was faster: the bid is lost.
          ELSE [is |-> "read", place |-> end, term |-> term,
                docs |-> IF Rule = "booksAlone" THEN docs ELSE Forgotten(Fold(docs, entries, base + 1, end)),
                toMake |-> ToMake(docs, entries, base + 1, end)]]
     /\ UNCHANGED <<log, tail, sent, underWay, books, made, making, cut>>

\* It writes the office entry at the end that it has read.
Bid(t, id) ==
  /\ trader[t].is = "read"
  /\ trader' = [trader EXCEPT ![t].is = "writing"]
  /\ Sends(t, trader[t].place + 1,
           OfficeEntry(id, t, IF Rule = "sameTerm" /\ trader[t].term > 0 THEN trader[t].term ELSE trader[t].term + 1))
  /\ UNCHANGED <<log, tail, books, made, making, cut>>

\* What waits is decided by the trader of the area that it waits in.
IsOurs(t, r) ==
  LET at == At(trader[t].docs, r)
  IN Rule = "anyQueue" \/ (at \in DOMAIN log => AreaOf[log[at].by] = AreaOf[t])

\* A trader in office writes at the next place; `new` are ids that it does not know.
Trade(t, id, new, puts, moves) ==
  LET p == trader[t].place + 1
      e == Entry(id, "trade", t, trader[t].term, new, puts, moves)
  IN /\ trader[t].is = "office"
     /\ \A d \in DOMAIN moves : Val(trader[t].docs, d) + moves[d] >= 0
     /\ \A r \in DOMAIN puts : \/ puts[r] = TakenBack
                               \/ r \in new /\ Status(trader[t].docs, r) = None
                               \/ r \notin new /\ Status(trader[t].docs, r) = Queued /\ IsOurs(t, r)
     /\ \/ underWay[t] = None /\ Sends(t, p, e)
        \/ Rule = "twoUnderWay" /\ underWay[t] # None /\ Sends(t, p + 1, e)
     /\ trader' = IF Rule = "tellEarly" THEN [trader EXCEPT ![t].docs = TakeIn(@, p, e)] ELSE trader
     /\ UNCHANGED <<log, tail, books, made, making, cut>>

\* No answer, or the ledger is away: the same entry is written at the same place again. It is on its way already,
\* which may mean many attempts.
Again(t) ==
  /\ underWay[t] # None
  /\ IF Rule = "nextPlace" THEN Sends(t, underWay[t].place + 1, underWay[t].entry) ELSE UNCHANGED <<underWay, sent>>
  /\ UNCHANGED <<log, tail, trader, books, made, making, cut>>

\* The answers. Each may be lost; what it says stays true, but for EndLost, so it is heard when it is asked for again.
Appended(t) ==
  LET p     == underWay[t].place
      e     == underWay[t].entry
      docs  == TakeIn(trader[t].docs, p, e)
      asOne == Rule = "oursDone" \/ (Level = "one" /\ (e.kind = "trade" \/ Rule = "officeAtOne"))
      has   == IF asOne THEN Primary ELSE log
  IN /\ underWay[t] # None /\ p \in DOMAIN has /\ p > cut
     /\ has[p] = e \/ Rule = "takenIsOurs"
     /\ underWay' = [underWay EXCEPT ![t] = None]
     /\ trader' = [trader EXCEPT ![t] = [is |-> "office", place |-> p, term |-> e.term, docs |-> docs, toMake |-> {}]]
     /\ making' = IF ~WithBooks THEN making
                  ELSE Unmade(making \union trader[t].toMake
                              \union {Made(trader[t].docs, p, e)}, books, made)
     /\ UNCHANGED <<log, tail, sent, books, made, cut>>

IsBeaten(t) == LET p == underWay[t].place
               IN underWay[t] # None /\ p \in DOMAIN log /\ (p <= cut \/ log[p] # underWay[t].entry)
IsOthers(t, p) == p > cut /\ (AreaOf[log[p].by] # AreaOf[t] \/ Rule = "neverDeposed")

\* It takes in what others wrote after its place, up to the place end, and is about what `is` says from then on.
GoesOn(t, is, end) ==
  LET p    == trader[t].place + 1
      docs == trader[t].docs
      make == ToMake(docs, log, p, end)
  IN /\ trader' = [trader EXCEPT ![t] = [@ EXCEPT
          !.is = is, !.place = end,
          !.docs = IF Rule = "passesOver" THEN @ ELSE Fold(@, log, p, end),
          !.toMake = IF is = "read" THEN @ \union make ELSE @]]
     /\ making' = IF is = "read" THEN making ELSE Unmade(making \union make, books, made)

\* An entry of another area stands there: that is no deposition. It is taken in, and the next place tried.
Behind(t) ==
  /\ IsBeaten(t) /\ IsOthers(t, underWay[t].place)
  /\ underWay' = [underWay EXCEPT ![t] = None]
  /\ GoesOn(t, IF trader[t].is = "writing" THEN "read" ELSE "office", underWay[t].place)
  /\ UNCHANGED <<log, tail, sent, books, made, cut>>

\* A trader with nothing under way reads what other areas have written.
ReadOn(t, end) ==
  /\ trader[t].is = "office" /\ underWay[t] = None /\ end \in (trader[t].place + 1)..Len(log)
  /\ \A p \in (trader[t].place + 1)..end : IsOthers(t, p)
  /\ GoesOn(t, "office", end)
  /\ UNCHANGED <<log, tail, sent, underWay, books, made, cut>>

\* Another's entry stands there. A candidate reads again, a trader is deposed.
Taken(t) ==
  LET p == underWay[t].place
  IN /\ IsBeaten(t) /\ ~IsOthers(t, p)
     /\ underWay' = [underWay EXCEPT ![t] = None]
     /\ trader' = [trader EXCEPT ![t] =
          IF @.is = "writing" THEN [Nobody EXCEPT !.is = "reading", !.term = trader[t].term] ELSE Nobody]
     /\ UNCHANGED <<log, tail, sent, books, made, making, cut>>

\* Ids that it took for new are in the log, and a majority has them: it learns what is recorded under them.
AlreadyRecorded(t) ==
  LET e        == underWay[t].entry
      recorded == {d \in e.new : \E p \in DOMAIN log : d \in log[p].new}
      last(r)  == CHOOSE p \in DOMAIN log : /\ r \in DOMAIN log[p].puts
                                            /\ \A q \in DOMAIN log : q > p => r \notin DOMAIN log[q].puts
      outcomes == {r \in recorded : \E p \in DOMAIN log : r \in DOMAIN log[p].puts /\ log[p].puts[r] \in Final}
  IN /\ underWay[t] # None /\ recorded # {} /\ trader[t].is = "office"
     /\ underWay' = [underWay EXCEPT ![t] = None]
     /\ trader' = [trader EXCEPT ![t].docs =
          [r \in outcomes |-> [at |-> last(r), val |-> log[last(r)].puts[r]]] @@ @]
     /\ UNCHANGED <<log, tail, sent, books, made, making, cut>>

\* Below a majority: the end that its entry should stand behind was lost with a primary.
EndLost(t) ==
  /\ underWay[t] # None /\ underWay[t].place \notin DOMAIN Primary /\ ~IsBehind(Primary, underWay[t])
  /\ underWay' = [underWay EXCEPT ![t] = None] /\ trader' = [trader EXCEPT ![t] = Nobody]
  /\ UNCHANGED <<log, tail, sent, books, made, making, cut>>

\* It crashes, resigns, or gives up. What it has sent may land yet. Who comes back is another.
Leave(t) ==
  /\ trader[t].is \in {"reading", "read", "writing", "office"}
  /\ underWay' = [underWay EXCEPT ![t] = None] /\ trader' = [trader EXCEPT ![t] = Nobody]
  /\ UNCHANGED <<log, tail, sent, books, made, making, cut>>

(* ---- The books (db/ledger/maker.py, cutting.py) ---- *)

\* A majority has some of an entry's documents. Those that are newer already stay.
Make(m, ds) ==
  /\ m \in making /\ ds # {} /\ ds \subseteq DOMAIN m.docs
  /\ \A d \in ds : IF Rule = "noGuard" THEN At(books, d) # m.at ELSE At(books, d) < m.at
  /\ books' = [d \in ds |-> m.docs[d]] @@ books /\ making' = Unmade(making, books', made)
  /\ UNCHANGED <<log, tail, sent, trader, underWay, made, cut>>

\* They say that they are made one entry further, once a majority has its documents.
SayMade(m) ==
  /\ m \in making /\ m.at = made + 1
  /\ Rule = "saidTooEarly" \/ \A d \in DOMAIN m.docs : At(books, d) >= m.at
  /\ made' = m.at /\ making' = Unmade(making, books, made')
  /\ UNCHANGED <<log, tail, sent, trader, underWay, books, cut>>

\* The bodies of entries behind the books go, but for the newest one's. Their places stay taken.
Cut(p) ==
  /\ p > cut /\ p < made /\ cut' = p
  /\ UNCHANGED <<log, tail, sent, trader, underWay, books, made, making>>

(* ---- What is always true ---- *)

Places(entries) == DOMAIN entries
NoGap       == Places(log) = 1..Cardinality(Places(log)) /\ Places(Primary) = 1..Cardinality(Places(Primary))
NeverChanges == [][\A p \in Places(log) : p \in Places(log') /\ log'[p] = log[p]]_vars

\* In each area: terms never fall, an office entry raises the term by one, and a term has one trader, who wrote its
\* office entry.
Terms == \A entries \in {log, Primary} : \A p \in Places(entries) :
  LET e == entries[p]
      q == LastOf(entries, p - 1, AreaOf[e.by])
  IN IF e.kind = "office" THEN e.term = TermAt(entries, p - 1, AreaOf[e.by]) + 1
     ELSE q # NOWHERE /\ e.term = entries[q].term /\ e.by = entries[q].by

\* What waits in an area is decided there.
OwnQueue == \A p, q \in Places(log) : \A r \in DOMAIN log[p].puts \intersect DOMAIN log[q].puts :
  log[p].puts[r] = Queued /\ log[q].puts[r] \in Final => AreaOf[log[p].by] = AreaOf[log[q].by]

Decisions(entries, r) == {p \in Places(entries) : r \in DOMAIN entries[p].puts /\ entries[p].puts[r] \in Final}
DecidedOnce == \A entries \in {log, Primary} :
  \A r \in UNION {DOMAIN entries[p].puts : p \in Places(entries)} : Cardinality(Decisions(entries, r)) <= 1

IdsOnce == \A entries \in {log, Primary} : \A p, q \in Places(entries) :
  p # q => entries[p].new \intersect entries[q].new = {}

\* The books as the log adds up to them.
Right(entries, end) == Fold(OpeningBooks, entries, 1, end)
NoOversell == \A entries \in {log, Primary} : \A d \in DOMAIN Opening : Val(Right(entries, Len(entries)), d) >= 0

\* Whoever knows an outcome may tell it: so it stands, and stays (NeverChanges).
ToldStands == Level = "majority" => \A t \in Traders : \A r \in DOMAIN trader[t].docs :
  trader[t].docs[r].val \in Final => \E p \in Decisions(log, r) : log[p].puts[r] = trader[t].docs[r].val

\* Who is in office knows what waits and what is in stock, as of its place.
MemoryTrue == Level = "majority" => \A t \in Traders : trader[t].is = "office" =>
  LET right == Right(log, trader[t].place)
  IN trader[t].place <= Len(log) /\ \A d \in DOMAIN right :
       \/ right[d].val \in Over
       \/ At(trader[t].docs, d) > trader[t].place  \* It was told of what came after, as of ids that are recorded.
       \/ d \in DOMAIN trader[t].docs /\ trader[t].docs[d].val = right[d].val

\* A document is what the log adds up to at its place, and none is older than the books say.
BooksFollow ==
  /\ \A d \in DOMAIN books : At(books, d) \in 0..Len(log) /\ books[d] = Right(log, At(books, d))[d]
  /\ LET right == Right(log, made) IN \A d \in DOMAIN right : At(books, d) >= right[d].at
=============================================================================
