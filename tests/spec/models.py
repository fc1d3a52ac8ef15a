"""The small models that TLC walks all of, and the rules that it has to find broken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

CONSTANTS = {
    **{name: name for name in ("None", "Queued", "Sold", "Unavailable", "TakenBack")},
    "MaxTail": "1",
    "Stale": "0",
    "WithBooks": "FALSE",
    "WithCuts": "FALSE",
    "Level": '"majority"',
    "Rule": '"design"',
}
"""What configurations have in common."""

INVARIANTS = (
    "NoGap",
    "Terms",
    "DecidedOnce",
    "IdsOnce",
    "NoOversell",
    "LowestFirst",
    "OwnQueue",
    "ToldStands",
    "MemoryTrue",
)


def constants_text(constants: dict[str, str], redefined: dict[str, str]) -> str:
    """The constants of a configuration, as TLC reads them."""
    lines = [f"  {name} = {value}" for name, value in constants.items()]
    return "\n".join(["CONSTANTS", *lines, *(f"  {name} <- {other}" for name, other in redefined.items())])


@dataclass(frozen=True, kw_only=True)
class Model:
    """Bounds in which all is walked, and what has to be seen in them."""

    traders: int
    requests: int = 2
    constants: dict[str, str] = field(default_factory=dict)
    leaves: bool = True
    areas: str = "OneArea"
    sights: tuple[str, ...] = ()

    def config(self, rule: str = "design") -> str:
        """The configuration, with a rule broken unless it is the design."""
        names = ", ".join(f"t{number}" for number in range(1, self.traders + 1))
        requests = ", ".join(f'"r{number}"' for number in range(1, self.requests + 1))
        wanted = ", ".join(f'"{sight}"' for sight in self.sights)
        constants = {
            **CONSTANTS,
            **self.constants,
            "Traders": f"{{{names}}}",
            "Requests": f"{{{requests}}}",
            "Leaves": str(self.leaves).upper(),
            "Wanted": f"{{{wanted}}}" if rule == "design" else "{}",
            "Rule": f'"{rule}"',
        }
        books = ("BooksFollow",) if constants["WithBooks"] == "TRUE" else ()
        return "\n".join(
            [
                "SPECIFICATION Spec",
                constants_text(constants, {"Opening": "OneUnit", "AreaOf": self.areas}),
                f"INVARIANTS {' '.join((*INVARIANTS, *books, 'Look'))}",
                "PROPERTY NeverChanges",
                *(["SYMMETRY Alike"] if self.areas == "OneArea" or self.traders > 2 else []),
            ]
        )


_LOG = (
    "deposed without knowing it", "a deposed trader's entry refused", "a candidate's place taken",
    "an entry that stands unanswered", "a late entry of one who has left", "both are decided",
    "ids that the log has", "what waited is decided by a successor", "a place taken before a majority has it",
)  # fmt: skip
_BOOKS = ("books that are behind", "books newer than they say", "a late maker", "all is made")
_LEVEL = ("an end that was told and is lost", "an end that is missed")

_AREAS = ("another area's entry in ones place", "both areas have sold", "what waits in the other area")

_WITH_BOOKS = {"WithBooks": "TRUE", "MaxTail": "0"}

MODELS = {
    # Crashes, lost answers, and what only a primary has; the books are left out.
    "log": Model(traders=3, sights=(*_LOG, "a third term")),
    # A crash is here to take no step any more, and what lands a majority has at once.
    "books": Model(traders=2, constants=_WITH_BOOKS, leaves=False, sights=_BOOKS),
    "level": Model(traders=2, constants={"Level": '"one"', "MaxTail": "2"}, sights=_LEVEL),
    # One trader of the south, the others of the north.
    "areas": Model(traders=2, areas="TwoAreas", constants={"MaxTail": "0"}, sights=_AREAS),
    # These take minutes.
    "books, three traders": Model(traders=3, requests=1, constants=_WITH_BOOKS, leaves=False, sights=_BOOKS),
    "books, with all": Model(
        traders=2,
        constants={"WithBooks": "TRUE", "WithCuts": "TRUE", "Stale": "1"},
        sights=(*_BOOKS, "a trader behind a cut"),
    ),
    "areas, three traders": Model(traders=3, areas="TwoAreas", sights=_AREAS),
    "areas, with books": Model(
        traders=3, requests=1, areas="TwoAreas", constants=_WITH_BOOKS, leaves=False, sights=_BOOKS
    ),
    "level, three traders": Model(traders=3, constants={"Level": '"one"'}, sights=_LEVEL),
}
SHORT = ("log", "books", "level", "areas")

_TWO = replace(MODELS["log"], traders=2)
_CUT = replace(MODELS["books"], requests=1, constants={**_WITH_BOOKS, "WithCuts": "TRUE"})


@dataclass(frozen=True)
class Broken:
    """A rule, the model in which it is broken, and the properties of which one has to tell."""

    rule: str
    model: Model
    found_by: tuple[str, ...]


RULES = (
    Broken("nextPlace", _TWO, ("NoGap",)),
    Broken("twoUnderWay", _TWO, ("NoGap",)),
    Broken("localRead", _TWO, ("NoGap",)),
    Broken("placeTwice", _TWO, ("NeverChanges", "Terms")),
    Broken("takenIsOurs", _TWO, ("Terms", "MemoryTrue", "ToldStands")),
    Broken("sameTerm", _TWO, ("Terms",)),
    Broken("idsTwice", _TWO, ("DecidedOnce", "IdsOnce")),
    Broken("tellEarly", _TWO, ("ToldStands",)),
    Broken("oursDone", _TWO, ("ToldStands", "NoGap", "MemoryTrue")),
    Broken("blind", MODELS["level"], ("NoGap",)),
    Broken("officeAtOne", MODELS["level"], ("Terms",)),
    Broken("noGuard", MODELS["books"], ("BooksFollow",)),
    Broken("saidTooEarly", MODELS["books"], ("BooksFollow",)),
    Broken("docsFirst", MODELS["books"], ("MemoryTrue", "NoOversell", "BooksFollow")),
    Broken("booksAlone", MODELS["books"], ("MemoryTrue", "NoOversell", "DecidedOnce", "BooksFollow")),
    Broken("passesOver", MODELS["areas"], ("MemoryTrue", "NoOversell", "DecidedOnce")),
    Broken("anyQueue", MODELS["areas"], ("OwnQueue",)),
    Broken("neverDeposed", replace(MODELS["areas, three traders"], requests=1), ("Terms",)),
    Broken("cutFrees", _CUT, ("NeverChanges", "Terms")),
)
