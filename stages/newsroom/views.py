"""The views: each task's rows of a story.

A view is a function `(story) -> rows` and an entry in `VIEWS` that says in which file the rows go
and by which writer; one more task is one more entry.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from stages.newsroom.events import AMOUNT_KINDS, EventType, Fact, draw_event, draw_other
from stages.newsroom.names import KINDS, Name
from stages.newsroom.reports import Story, headline, tell, write
from stages.newsroom.rng import Stream
from stages.newsroom.write import CsvWriter, JsonLinesWriter, SquadWriter, TextWriter

# Kinds of difference between the sentences of a pair; a story has `PAIRS` of these in turn, and as
# many paraphrases. A fact of another event is the easiest to tell, and what a model learns to
# compare by: without many of them nothing is learned for long. Exchanged roles and outcomes
# are the hardest, and come more often than a single changed slot.
CHANGES = (
    "role_swap", "other_event", "person", "other_event", "polarity",
    "other_event", "role_swap", "other_event", "place", "amount",
    "other_event", "role_swap", "other_event", "organisation", "other_event",
    "polarity", "date", "other_event", "role_swap", "other_fact",
)  # fmt: skip
# In training, once `EASY_EVENTS` have taught to compare names, the hard kinds prevail: read in
# their order, the rows are a curriculum (Bengio et al. 2009).
HARD_CHANGES = (
    "role_swap", "other_event", "polarity", "role_swap", "role_swap", "other_event",
    "polarity", "role_swap", "amount", "date", "organisation", "other_fact", "person",
    "place", "role_swap", "other_event", "polarity", "role_swap", "role_swap",
    "other_event", "polarity", "role_swap",
)  # fmt: skip
EASY_EVENTS = 2700
PAIRS = 8
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
    """The facts that a change can be made in, each with the slots it may touch."""
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


def pair_rows(story: Story) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
    """Pairs of sentences, by twos: the same first fact once with a paraphrase, once changed.

    So neither the first sentence nor the fact it tells says anything of the label. The changed
    sentence mostly has another wording too, or the same words would tell.
    """
    event, stream = story.event, story.stream("glue")
    hard = event.split == "train" and event.index >= EASY_EVENTS
    changes = HARD_CHANGES if hard else CHANGES
    for number in range(PAIRS):
        change = changes[(event.index * PAIRS + number) % len(changes)]
        fact, slots = stream.pick(_facts_for(event.type, change))
        first, second, third = stream.sample(range(len(fact.wordings)), 3)
        one, same = tell(event, fact, first).text, tell(event, fact, second).text
        wording = first if stream.percent(SAME_WORDING_SHARE) else third
        if change == "polarity":
            other = tell(replace(event, outcome=not event.outcome), fact, wording)
        elif change == "other_event":
            # An event of the same split that no file tells: drawn far behind the last number.
            away = draw_event(story.seed, event.split, _FAR * (number + 1) + event.index)
            told = stream.pick(away.type.facts)
            other = tell(away, told, stream.below(len(told.wordings)))
        elif change == "other_fact":
            # The closest fact: one that shares as many slots as any does.
            rest = stream.shuffled([other for other in event.type.facts if other is not fact])
            near = max(rest, key=lambda other: len(set(other.slots) & set(fact.slots)))
            other = tell(event, near, stream.below(len(near.wordings)))
        else:
            if change == "role_swap":
                x, y = slots
                changed = {x: event.values[y], y: event.values[x]}
            else:
                slot = stream.pick(slots)
                changed = {slot: draw_other(stream, event, slot)}
            other = tell(replace(event, values=event.values | changed), fact, wording)
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
    """Two slots of one kind whose exchange makes a question about `fact` one without answer."""
    pair = fact.swap or ("ab" if len({"a", "b"} & set(fact.slots)) == 1 else "")
    if pair and event_type.kinds[pair[0]] == event_type.kinds[pair[1]] and set(pair) & set(slots):
        return pair
    return ""


def _without_answer(stream: Stream, story: Story, desk: int) -> tuple[str, str]:
    """A question that a report does not answer, after its kind."""
    event, report = story.event, story.reports[desk]
    asked = [
        (fact, slot, stream.pick(wordings))
        for fact in event.type.facts
        for slot, wordings in fact.questions.items()
    ]
    made = []
    for fact, slot, wording in stream.shuffled(asked):
        if report.answer(fact, slot) is None:
            made.append(("dropped", write(wording, event.values, event.outcome).text))
            continue
        slots = wording.slots
        if pair := _exchanged(event.type, fact, slots):
            x, y = pair
            values = event.values | {x: event.values[y], y: event.values[x]}
            made.append(("exchanged", write(wording, values, event.outcome).text))
        names = [slot for slot in slots if event.type.kinds[slot] in KINDS]
        if names:
            name = stream.pick(names)
            values = event.values | {name: draw_other(stream, event, name)}
            made.append(("foreign", write(wording, values, event.outcome).text))
    order = stream.shuffled(("dropped", "exchanged", "foreign"))
    return min(made, key=lambda row: order.index(row[0]))


def question_rows(story: Story) -> Iterator[tuple[str, dict]]:
    """One SQuAD article: a paragraph a report, with three questions and with two."""
    event, stream = story.event, story.stream("qa")
    paragraphs, kinds = [], []
    for desk, report in enumerate(story.reports):
        identity = f"{event.split}-{event.index}-{'ab'[desk]}"
        found = [
            (event.type.kinds[slot], stream.pick(wordings), report.answer(fact, slot))
            for fact in event.type.facts
            for slot, wordings in fact.questions.items()
            if report.answer(fact, slot)
        ]
        qas = []
        for _, wording, (text, start) in stream.sample(found, 2 - desk):
            question = write(wording, event.values, event.outcome).text
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

    `rows` yields (kinds, row): what to count, words separated by blanks, and what to write.
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
