"""From an event to text: sentences with the spans of their slots, and the two reports."""

from collections.abc import Mapping
from dataclasses import dataclass

from stages.newsroom.events import Event, Fact, Wording, draw_event, value_text
from stages.newsroom.names import Name
from stages.newsroom.rng import Stream


@dataclass(frozen=True)
class Sentence:
    """A fact, question or headline as text; `spans` are (slot, start, end)."""

    text: str
    spans: tuple[tuple[str, int, int], ...]
    fact: Fact | None = None
    wording: int = 0


@dataclass(frozen=True)
class Report:
    """The sentences of one desk, in order."""

    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    def answer(self, fact: Fact, slot: str) -> tuple[str, int] | None:
        """Text and offset of a slot of `fact`; None if the report leaves the fact out."""
        offset = 0
        for sentence in self.sentences:
            if sentence.fact is fact:
                start, end = next((s, e) for key, s, e in sentence.spans if key == slot)
                return sentence.text[start:end], offset + start
            offset += len(sentence.text) + 1
        return None


@dataclass(frozen=True)
class Story:
    """An event and its two reports, the input of every view."""

    seed: int
    event: Event
    reports: tuple[Report, Report]

    def stream(self, view: str) -> Stream:
        """The random stream of one view of this story."""
        return Stream(self.seed, self.event.split, self.event.index, view)


def render(wording: Wording, values: Mapping[str, Name | str], outcome: bool) -> Sentence:
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


def render_fact(event: Event, fact: Fact, wording: int) -> Sentence:
    """A fact of the event in one of its wordings."""
    sentence = render(fact.wordings[wording], event.values, event.outcome)
    return Sentence(sentence.text, sentence.spans, fact, wording)


def headline(event: Event) -> str:
    """The headline of the event, which depends on the outcome."""
    return render(event.type.headlines[event.outcome], event.values, event.outcome).text


def draw_story(seed: int, split: str, index: int) -> Story:
    """Event number `index` of a split with its two reports.

    Each report leaves out one or two details, different ones; no fact has the same wording in both.
    """
    event = draw_event(seed, split, index)
    stream = Stream(seed, split, index, "reports")
    main, *details = event.type.facts
    order = stream.shuffled(details)
    dropped = order[: 1 + stream.percent(30)], order[2 : 3 + stream.percent(30)]
    wordings = {fact.name: stream.sample(range(len(fact.wordings)), 2) for fact in event.type.facts}
    reports = []
    for desk in (0, 1):
        facts = stream.shuffled([fact for fact in details if fact not in dropped[desk]])
        # The main fact usually comes first, but not always, so the first sentence is no summary.
        facts.insert(0 if stream.percent(70) else 1, main)
        reports.append(Report(tuple(render_fact(event, f, wordings[f.name][desk]) for f in facts)))
    return Story(seed, event, (reports[0], reports[1]))
