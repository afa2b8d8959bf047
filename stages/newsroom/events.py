"""The types of event, parsed from tables, and the drawing of events.

A table is text in blocks. `== NAME | key KIND, ...` starts a type and names its slots; `# yes` and
`# no` are its headlines for the two outcomes; `-- FACT [xy]` starts a fact, and where two slots
`xy` of one kind follow, exchanging the two makes the fact false. A line is one wording of the fact.
All wordings of a fact mean the same and have the same slots; `[this|that]` depends on the outcome,
yes or no. `? x QUESTION / QUESTION` asks for slot x of the fact above.
"""

import re
from dataclasses import dataclass, field
from functools import cache

from stages.newsroom import commerce, people, public
from stages.newsroom.names import KINDS, Name, draw_name
from stages.newsroom.rng import Stream, words

_GOODS = {
    "goods": words("timber salt wool glass paper copper grain coal tea steel sugar cotton"),
    "wares": words("timber wool glass paper steel sugar cotton flour"),
    "food": words("salt grain tea sugar flour rice bread milk"),
}
MONTHS = words(
    "January February March April May June July August September October November December"
)
WEEKDAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
# Amounts: unit, smallest, largest, step.
_AMOUNTS = {
    "money": ("million crowns", 2, 99, 1),
    "coins": ("thousand crowns", 2, 99, 1),
    "people": ("people", 40, 990, 10),
    "years": ("years", 2, 30, 1),
    "days": ("days", 2, 30, 1),
    "tonnes": ("tonnes", 20, 980, 20),
    "kilometres": ("kilometres", 40, 960, 10),
}
AMOUNT_KINDS = frozenset(_AMOUNTS)
_PIECE = re.compile(r"\{(\w)\}|\[([^|\]]*)\|([^\]]*)\]")
# Percentage of names built on a stem that the story already uses for something else.
_REUSED_STEM_PERCENT = 20


@dataclass(frozen=True)
class Wording:
    """A template: plain strings, one-letter slots and (yes, no) pairs in the order of the text."""

    pieces: tuple[str | tuple[str, ...], ...]
    slots: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Wording":
        pieces, slots, end = [], [], 0
        for match in _PIECE.finditer(text):
            if match.start() > end:
                pieces.append(text[end : match.start()])
            end = match.end()
            if match[1]:
                pieces.append((match[1],))
                slots.append(match[1])
            else:
                pieces.append((match[2], match[3]))
        if end < len(text):
            pieces.append(text[end:])
        return cls(tuple(pieces), tuple(slots))


@dataclass
class Fact:
    """A fact: its wordings, and the questions by the slot that they ask for."""

    name: str
    swap: str = ""
    wordings: list[Wording] = field(default_factory=list)
    questions: dict[str, list[Wording]] = field(default_factory=dict)

    @property
    def slots(self) -> tuple[str, ...]:
        return tuple(sorted(self.wordings[0].slots))

    @property
    def has_outcome(self) -> bool:
        return any(len(piece) == 2 for piece in self.wordings[0].pieces if type(piece) is tuple)


@dataclass
class EventType:
    """A type of event: the kinds of its slots and its facts, the main one first."""

    name: str
    kinds: dict[str, str]
    facts: list[Fact] = field(default_factory=list)
    headlines: dict[bool, Wording] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """An event: values for the slots of its type, and its outcome."""

    type: EventType
    split: str
    index: int
    values: dict[str, Name | str]
    outcome: bool

    def key(self) -> str:
        """The event's identity: its type and its participants."""
        texts = [value_text(self.values[slot]) for slot in self.type.facts[0].slots]
        return " / ".join([self.type.name, *texts])


def value_text(value: Name | str) -> str:
    return value.text if isinstance(value, Name) else value


@cache
def event_types() -> tuple[EventType, ...]:
    """All types of event, parsed from the tables."""
    types: list[EventType] = []
    for line in "\n".join([commerce.TABLE, people.TABLE, public.TABLE]).splitlines():
        mark, _, rest = line.partition(" ")
        if not line:
            continue
        if mark == "==":
            name, _, slots = rest.partition(" | ")
            types.append(EventType(name, dict(slot.split() for slot in slots.split(", "))))
        elif mark == "#":
            outcome, _, text = rest.partition(" ")
            types[-1].headlines[outcome == "yes"] = Wording.parse(text)
        elif mark == "--":
            types[-1].facts.append(Fact(*rest.split()))
        elif mark == "?":
            slot, _, texts = rest.partition(" ")
            questions = [Wording.parse(text) for text in texts.split(" / ")]
            types[-1].facts[-1].questions[slot] = questions
        else:
            types[-1].facts[-1].wordings.append(Wording.parse(line))
    return tuple(types)


def draw_value(stream: Stream, split: str, kind: str, reusable: tuple[str, ...] = ()) -> Name | str:
    """A value for a slot of `kind`: a name, an amount with its unit, a date or goods."""
    if kind in KINDS or kind == "CUP":
        return draw_name(stream, split, kind, reusable)
    if kind == "date":
        if stream.percent(40):
            return stream.choice(WEEKDAYS)
        return f"{1 + stream.randrange(28)} {stream.choice(MONTHS)}"
    if kind in _GOODS:
        return stream.choice(_GOODS[kind])
    unit, low, high, step = _AMOUNTS[kind]
    return f"{low + step * stream.randrange((high - low) // step + 1)} {unit}"


def draw_different(stream: Stream, event: Event, slot: str) -> Name | str:
    """A value for a slot that differs from those of all slots of the event."""
    kind = event.type.kinds[slot]
    taken = {value_text(value) for value in event.values.values()}
    while True:
        value = draw_value(stream, event.split, kind)
        if value_text(value) not in taken:
            return value


def draw_event(seed: int, split: str, index: int) -> Event:
    """Event number `index` of a split, independent of all other draws."""
    stream = Stream(seed, split, index, "event")
    kind_of_event = stream.choice(event_types())
    values: dict[str, Name | str] = {}
    stems: dict[str, str] = {}
    for slot, kind in kind_of_event.kinds.items():
        reusable = ()
        if stream.percent(_REUSED_STEM_PERCENT):
            reusable = tuple(stem for stem, owner in stems.items() if owner != kind)
        taken = {value_text(value) for value in values.values()}
        value = draw_value(stream, split, kind, reusable)
        while value_text(value) in taken:
            value = draw_value(stream, split, kind)
        values[slot] = value
        if isinstance(value, Name):
            stems |= dict.fromkeys(value.stems, kind)
    return Event(kind_of_event, split, index, values, stream.percent(50))
