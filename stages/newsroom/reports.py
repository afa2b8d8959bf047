"""From an event to text: sentences with the places of their slots, and the two reports."""

from collections.abc import Mapping
from dataclasses import dataclass

from stages.newsroom.events import Event, Fact, Wording, draw_event, value_text
from stages.newsroom.names import Name
from stages.newsroom.rng import Stream


@dataclass(frozen=True)
class Sentence:
    """A fact (or question, or headline) in words; `spans` are (slot, start, end)."""

    text: str
    spans: tuple[tuple[str, int, int], ...]
    fact: Fact | None = None
    wording: int = 0


@dataclass(frozen=True)
class Report:
    """What one desk wrote: sentences in their order."""

    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    def answer(self, fact: Fact, slot: str) -> tuple[str, int] | None:
        """Text and offset of a slot of `fact`, or nothing where the report leaves it out."""
        offset = 0
        for sentence in self.sentences:
            if sentence.fact is fact:
                start, end = next((s, e) for key, s, e in sentence.spans if key == slot)
                return sentence.text[start:end], offset + start
            offset += len(sentence.text) + 1
        return None


@dataclass(frozen=True)
class Story:
    """An event and the two reports of it: what every view looks at."""

    seed: int
    event: Event
    reports: tuple[Report, Report]

    def stream(self, view: str) -> Stream:
        """The random numbers of one view of this story."""
        return Stream(self.seed, self.event.split, self.event.index, view)


def write(wording: Wording, values: Mapping[str, Name | str], outcome: bool) -> Sentence:
    """Fill a wording's slots."""
    text, spans = "", []
    for piece in wording.pieces:
        if isinstance(piece, str):
            text += piece
        elif len(piece) == 2:
            text += piece[0] if outcome else piece[1]
        else:
            start = len(text)
            text += value_text(values[piece[0]])
            spans.append((piece[0], start, len(text)))
    return Sentence(text, tuple(spans))


def tell(event: Event, fact: Fact, wording: int) -> Sentence:
    """A fact of the event in one of its wordings."""
    sentence = write(fact.wordings[wording], event.values, event.outcome)
    return Sentence(sentence.text, sentence.spans, fact, wording)


def headline(event: Event) -> str:
    """The event in a headline's words; its outcome chooses the headline."""
    return write(event.type.headlines[event.outcome], event.values, event.outcome).text


def draw_story(seed: int, split: str, index: int) -> Story:
    """Event number `index` of a split with both its reports.

    Each report leaves out one detail or two, never the same; no fact has one wording in both.
    """
    event = draw_event(seed, split, index)
    stream = Stream(seed, split, index, "reports")
    main, *details = event.type.facts
    order = stream.shuffled(details)
    dropped = order[: 1 + stream.percent(30)], order[2 : 3 + stream.percent(30)]
    wordings = {fact.name: stream.sample(range(len(fact.wordings)), 2) for fact in event.type.facts}
    reports = []
    for desk in (0, 1):
        told = stream.shuffled([fact for fact in details if fact not in dropped[desk]])
        # The main fact mostly leads, but not always: the first sentence alone is no summary.
        told.insert(0 if stream.percent(70) else 1, main)
        reports.append(Report(tuple(tell(event, f, wordings[f.name][desk]) for f in told)))
    return Story(seed, event, (reports[0], reports[1]))
