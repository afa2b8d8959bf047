"""The data card, written with the files."""

from collections import Counter
from collections.abc import Mapping

from stages.core.text_table import markdown_table
from stages.newsroom.events import event_types
from stages.newsroom.names import OWN_SHARE, SPLITS
from stages.newsroom.reports import draw_story, headline
from stages.newsroom.views import CURRICULUM, SAME_WORDING_SHARE

_CARD = """\
# The newsroom: data card

Invented news about invented people, firms and towns, written by `python -m stages.newsroom`
from seed {seed}. This page is written with the files, its numbers with it.

## What it is
{events} events of {types} types ({type_names}).
Each is a set of facts ({facts} in all, each in four to six wordings, {wordings} in all) with
people, firms, towns, amounts and dates in their slots. Two desks report each event: no fact has
the same wording in both reports, and each report leaves out one or two of the details. Every
folder is a view of these events:

| folder | a row is | format |
|---|---|---|
| `text` | an event: two reports, one a line, an empty line between events | plain text |
| `glue` | two sentences, equivalent or different, and how they differ | CSV |
| `ner` | a sentence of the first report with PER, ORG, LOC and MISC in IOB2 | JSON lines |
| `qa` | a report with three questions, the other report with two | SQuAD 2.0 |
| `summarization` | both reports and a headline | JSON lines |

One event, as number 0 of the training split:

> {report_a}
>
> {report_b}
>
> *{headline}*

## Why it is synthetic
So that the whole pipeline runs with no network, the data may be used by anyone for anything
(CC0-1.0), no real person is in it, and no figure can come from having read the test set: no name
in it exists before it is drawn.

## Splits
{split_table}

Splits are by event. A name as it is written, and so each sentence and each question, occurs in one
split only: this is by construction (see `stages/newsroom/names.py`) and not by chance. Of the stems
that validation and test draw, {own} % are from a stock that no other split can draw from; the rest
are shared with training, in new names. A stem can name a person, a firm and a town, also within
one story. More events only append, and the number of events in one split changes no other split.

## Rows
{row_table}

`glue`: pairs come by twos that share a fact: a paraphrase in other words, and a sentence that is
different. A changed sentence keeps the wording in {same} % of pairs. `role_swap` exchanges the two
parties ("X sued Y", "Y was sued by X" is the same, "X was sued by Y" is not); `polarity` turns the
outcome round; `other_fact` tells another fact of the same event, `other_event` a fact of another:
the easy kind, which a model learns to compare by. A changed date has the form of the true one, a
weekday or a day of a month. In training, exchanged roles and outcomes prevail after the first
{easy} events, and are three quarters of the changes after {hard}; validation and test are mixed as
those first events are. Read in their order, the two pairs of a fact stand together, and the rows
are a curriculum.

`qa`: a question without an answer asks for a fact that this report leaves out (`dropped`), has the
two parties exchanged (`exchanged`) or names somebody who is not in the report (`foreign`). The
last word of a question's id says which. An answer is the full name, an amount with its unit, or a
date as it stands in the text; where a text stands several times, the offset is that of the fact.

`summarization`: the headline is in words of its own. It needs the parties from the main fact, which
is not always in the first sentence, and the outcome, which stands in a detail.

## What figures on it do not tell
- The grammar is the same in all splits: only names, and their combinations with wordings, are new.
  A good figure says that training, evaluation and the task's code work, and that a model handles
  unseen names; it says nothing about real English.
- About four hundred ordinary words, no misspellings, no pronoun or short form for a name, no long
  sentences. Perplexity is low accordingly: compare it only between runs on the same files.
- In `glue`, comparing names and numbers finds most changed slots; only `role_swap` and `polarity`
  need the structure or the meaning. So read the accuracy of each kind.
- Stories do not follow from one another, and nothing in them needs knowledge of the world.
"""


def card(seed: int, events: Mapping[str, int], counts: Mapping[tuple[str, str], Counter]) -> str:
    """The card's text, with the numbers of rows by kind."""
    types = event_types()
    facts = [fact for kind in types for fact in kind.facts]
    views = list(dict.fromkeys(view for view, _ in counts))
    rows = []
    for view in views:
        kinds = sorted({kind for split in SPLITS for kind in counts[view, split]})
        for kind in kinds:
            rows.append([f"`{view}`", kind, *(counts[view, split][kind] for split in SPLITS)])
        if len(kinds) > 1:
            rows.append([f"`{view}`", "**all**", *(counts[view, s].total() for s in SPLITS)])
    totals = ["events", *(events[split] for split in SPLITS)]
    story = draw_story(seed, "train", 0)
    return _CARD.format(
        seed=seed,
        events=sum(events.values()),
        types=len(types),
        type_names=", ".join(kind.name for kind in types),
        facts=len(facts),
        wordings=sum(len(fact.wordings) for fact in facts),
        report_a=story.reports[0].text,
        report_b=story.reports[1].text,
        headline=headline(story.event),
        split_table=markdown_table(["", *SPLITS], [totals]),
        own=OWN_SHARE,
        same=SAME_WORDING_SHARE,
        easy=f"{CURRICULUM[0][0]:,}",
        hard=f"{CURRICULUM[1][0]:,}",
        row_table=markdown_table(["folder", "kind", *SPLITS], rows),
    )
