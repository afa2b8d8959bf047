"""The views: the rows of each task, made from a story.

A view is a function `(story) -> rows` and an entry in `VIEWS` with its file and writer.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from stages.newsroom.events import (
    AMOUNT_KINDS,
    WEEKDAYS,
    Event,
    EventType,
    Fact,
    draw_different,
    draw_event,
)
from stages.newsroom.names import KINDS, Name
from stages.newsroom.reports import Story, headline, render, render_fact
from stages.newsroom.rng import Stream
from stages.newsroom.write import CsvWriter, JsonLinesWriter, SquadWriter, TextWriter

# Kinds of difference between the sentences of a pair. A story takes the next `PAIRS` of them, and
# has as many paraphrases. A fact of another event is the easiest kind, by which a model learns to
# compare: without many of them training stalls for long. Exchanged roles and outcomes are the
# hardest, and more frequent than a single changed slot.
CHANGES = (
    "role_swap", "other_event", "person", "other_event", "polarity",
    "other_event", "role_swap", "other_event", "place", "amount",
    "other_event", "role_swap", "other_event", "organisation", "other_event",
    "polarity", "date", "other_event", "role_swap", "other_fact",
)  # fmt: skip
_HARD_CHANGES = (
    "role_swap", "other_event", "polarity", "role_swap", "role_swap", "other_event",
    "polarity", "role_swap", "amount", "date", "organisation", "other_fact", "person",
    "place", "role_swap", "other_event", "polarity", "role_swap", "role_swap",
    "other_event", "polarity", "role_swap",
)  # fmt: skip
# Roles and outcomes, roles the more often, and one of the other kinds now and then, so that none
# is forgotten.
_HARDEST_CHANGES = (
    "role_swap", "polarity", "role_swap", "date", "role_swap", "polarity", "amount",
    "role_swap", "polarity", "role_swap", "other_fact", "role_swap", "polarity",
    "role_swap", "organisation", "role_swap", "polarity", "other_event", "role_swap",
    "polarity", "role_swap", "person", "role_swap", "polarity", "role_swap", "date",
)  # fmt: skip
# In order, the training rows are a curriculum (Bengio et al. 2009): the changes up to an event's
# number. From the hard ones alone a model learns nothing for long.
CURRICULUM = ((1000, CHANGES), (3200, _HARD_CHANGES), (None, _HARDEST_CHANGES))
# From here on all wordings of an outcome meet, before it only two; see `_wordings`.
ALL_WORDINGS_FROM = 3200
PAIRS = 4
SAME_WORDING_SHARE = 30
_FAR = 10**9
_CHANGED_KINDS = {
    "person": {"PER"},
    "place": {"LOC"},
    "organisation": {"ORG"},
    "amount": AMOUNT_KINDS,
    "date": {"date"},
}
_TOKEN = re.compile(r"\w+|[^\w\s]")


def text_rows(story: Story) -> Iterator[tuple[str, list[str]]]:
    """One document: the two reports."""
    yield "document", [report.text for report in story.reports]


def _facts_for(kind_of_event: EventType, change: str) -> list[tuple[Fact, str]]:
    """The facts to which a change applies, each with the slots that it may change."""
    found = []
    for fact in kind_of_event.facts:
        if change == "role_swap":
            slots = fact.swap
        elif change == "polarity":
            slots = "-" if fact.has_outcome else ""
        elif change in ("other_fact", "other_event"):
            slots = "-"
        else:
            kinds = _CHANGED_KINDS[change]
            slots = "".join(slot for slot in fact.slots if kind_of_event.kinds[slot] in kinds)
        if slots:
            found.append((fact, slots))
    return found


def _changes(event: Event) -> tuple[str, ...]:
    """The kinds of change that the event's pairs go through in turn."""
    if event.split != "train":
        return CHANGES
    return next(kinds for end, kinds in CURRICULUM if end is None or event.index < end)


def _changed_value(stream: Stream, event: Event, slot: str) -> Name | str:
    """Another value, a date in the same form: by the form alone no model learns the weekdays."""
    while True:
        value = draw_different(stream, event, slot)
        if event.type.kinds[slot] != "date":
            return value
        if (value in WEEKDAYS) == (event.values[slot] in WEEKDAYS):
            return value


def _wordings(stream: Stream, event: Event, fact: Fact, change: str) -> list[int]:
    """Wordings of the sentence, of its paraphrase and of the changed sentence.

    Two words for an outcome are compared across wordings, each pair of wordings by its own: at
    first only two wordings meet, and what is learned of them then serves the others.
    """
    if change == "polarity" and event.split == "train" and event.index < ALL_WORDINGS_FROM:
        first, second = stream.shuffled([0, 1])
        return [first, second, second]
    return stream.sample(range(len(fact.wordings)), 3)


def pair_rows(story: Story) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
    """Pairs of sentences, two for each fact: one with a paraphrase, one with a changed sentence.

    So neither the first sentence nor its fact predicts the label. The changed sentence usually has
    another wording too; otherwise the same words would give the label away.
    """
    event, stream = story.event, story.stream("glue")
    changes = _changes(event)
    for number in range(PAIRS):
        change = changes[(event.index * PAIRS + number) % len(changes)]
        fact, slots = stream.choice(_facts_for(event.type, change))
        first, second, third = _wordings(stream, event, fact, change)
        one, same = render_fact(event, fact, first).text, render_fact(event, fact, second).text
        wording = first if stream.percent(SAME_WORDING_SHARE) else third
        if change == "polarity":
            other = render_fact(replace(event, outcome=not event.outcome), fact, wording)
        elif change == "other_event":
            # An event of the same split that is in no file: its number is far beyond the last.
            away = draw_event(story.seed, event.split, _FAR * (number + 1) + event.index)
            chosen = stream.choice(away.type.facts)
            other = render_fact(away, chosen, stream.randrange(len(chosen.wordings)))
        elif change == "other_fact":
            # A fact that shares as many slots as possible.
            rest = stream.shuffled([other for other in event.type.facts if other is not fact])
            near = max(rest, key=lambda other: len(set(other.slots) & set(fact.slots)))
            other = render_fact(event, near, stream.randrange(len(near.wordings)))
        else:
            if change == "role_swap":
                x, y = slots
                changed = {x: event.values[y], y: event.values[x]}
            else:
                slot = stream.choice(slots)
                changed = {slot: _changed_value(stream, event, slot)}
            other = render_fact(replace(event, values=event.values | changed), fact, wording)
        pairs = [(one, same, "equivalent", "paraphrase"), (one, other.text, "different", change)]
        for left, right, label, kind in stream.shuffled(pairs):
            if stream.percent(50):
                left, right = right, left
            yield kind, (left, right, label, kind)


def entity_rows(story: Story) -> Iterator[tuple[str, dict]]:
    """The sentences of the first report as tokens with IOB2 tags."""
    event = story.event
    for sentence in story.reports[0].sentences:
        names = [
            (start, end, event.values[slot].kind)
            for slot, start, end in sentence.spans
            if isinstance(event.values[slot], Name)
        ]
        tokens, tags = [], []
        for match in _TOKEN.finditer(sentence.text):
            tokens.append(match[0])
            tag = "O"
            for start, end, kind in names:
                if start <= match.start() < end:
                    tag = f"{'B' if match.start() == start else 'I'}-{kind}"
            tags.append(tag)
        yield "sentence", {"tokens": tokens, "ner_tags": tags}


def _exchanged(event_type: EventType, fact: Fact, slots: tuple[str, ...]) -> str:
    """Two slots of one kind whose exchange makes a question about `fact` unanswerable."""
    pair = fact.swap or ("ab" if len({"a", "b"} & set(fact.slots)) == 1 else "")
    if pair and event_type.kinds[pair[0]] == event_type.kinds[pair[1]] and set(pair) & set(slots):
        return pair
    return ""


def _without_answer(stream: Stream, story: Story, desk: int) -> tuple[str, str]:
    """The kind and text of a question that a report does not answer."""
    event, report = story.event, story.reports[desk]
    asked = [
        (fact, slot, stream.choice(wordings))
        for fact in event.type.facts
        for slot, wordings in fact.questions.items()
    ]
    made = []
    for fact, slot, wording in stream.shuffled(asked):
        if report.answer(fact, slot) is None:
            made.append(("dropped", render(wording, event.values, event.outcome).text))
            continue
        slots = wording.slots
        if pair := _exchanged(event.type, fact, slots):
            x, y = pair
            values = event.values | {x: event.values[y], y: event.values[x]}
            made.append(("exchanged", render(wording, values, event.outcome).text))
        names = [slot for slot in slots if event.type.kinds[slot] in KINDS]
        if names:
            name = stream.choice(names)
            values = event.values | {name: draw_different(stream, event, name)}
            made.append(("foreign", render(wording, values, event.outcome).text))
    order = stream.shuffled(("dropped", "exchanged", "foreign"))
    return min(made, key=lambda row: order.index(row[0]))


def question_rows(story: Story) -> Iterator[tuple[str, dict]]:
    """One SQuAD article: a paragraph a report, with three questions and with two."""
    event, stream = story.event, story.stream("qa")
    paragraphs, kinds = [], []
    for desk, report in enumerate(story.reports):
        identity = f"{event.split}-{event.index}-{'ab'[desk]}"
        found = [
            (event.type.kinds[slot], stream.choice(wordings), report.answer(fact, slot))
            for fact in event.type.facts
            for slot, wordings in fact.questions.items()
            if report.answer(fact, slot)
        ]
        qas = []
        for _, wording, (text, start) in stream.sample(found, 2 - desk):
            question = render(wording, event.values, event.outcome).text
            qas.append(("answer", question, [{"text": text, "answer_start": start}]))
        qas.append((*_without_answer(stream, story, desk), []))
        kinds += [kind for kind, _, _ in qas]
        paragraphs.append({
            "context": report.text,
            "qas": [
                {
                    "id": f"{identity}-{number}-{kind}",
                    "question": question,
                    "is_impossible": not answers,
                    "answers": answers,
                }
                for number, (kind, question, answers) in enumerate(stream.shuffled(qas))
            ],
        })  # fmt: skip
    article = {"title": f"{event.type.name} {event.split} {event.index}", "paragraphs": paragraphs}
    yield " ".join(kinds), article


def summary_rows(story: Story) -> Iterator[tuple[str, dict]]:
    """Both reports and the headline."""
    document = " ".join(report.text for report in story.reports)
    yield "summary", {"document": document, "summary": headline(story.event)}


@dataclass(frozen=True)
class View:
    """A folder of files by split, the rows in them and their writer.

    `rows` yields (kinds, row): the kinds to count, separated by spaces, and the row to write.
    """

    folder: str
    ending: str
    rows: Callable[[Story], Iterator[tuple[str, object]]]
    writer: type


VIEWS = (
    View("text", "txt", text_rows, TextWriter),
    View("glue", "csv", pair_rows, CsvWriter),
    View("ner", "json", entity_rows, JsonLinesWriter),
    View("qa", "json", question_rows, SquadWriter),
    View("summarization", "json", summary_rows, JsonLinesWriter),
)
