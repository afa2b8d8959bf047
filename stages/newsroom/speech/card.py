"""The data card, written with the files."""

from collections.abc import Mapping

from stages.core.text_table import markdown_table
from stages.newsroom.names import SPLITS
from stages.newsroom.speech.audio import MAX_SECONDS, SAMPLE_RATE
from stages.newsroom.speech.sentences import PATTERNS, VOCABULARY
from stages.newsroom.speech.voices import ACCENTS, LEVELS, PITCHES, RATES, SPEAKERS, draw_utterance
from stages.newsroom.speech.write import Counts

SWITCHED_OFF = """\
# The newsroom's announcements: switched off

`tasks.speech.enabled` is `false` in `params.yaml`, so nothing was spoken. Set it to `true` and run
the pipeline again.
"""

_CARD = """\
# The newsroom's announcements: data card

Invented announcements, read by the formant synthesiser espeak-ng, written by
`python -m stages.newsroom.speech` from seed {seed}. This page is written with the files, its
numbers with it.

## What it is
{utterances:,} utterances, {hours:.1f} hours of speech. Each is one sentence about places, times,
prices, journeys or rooms, from {patterns} patterns over a closed vocabulary of {vocabulary} words:

| pattern | the first of it in training | {splits} |
|---|---|{rule}|
{pattern_rows}

A row of `train.parquet`, `validation.parquet` and `test.parquet` has these columns:

| column | content |
|---|---|
| `audio` | the bytes of a FLAC file, {rate} Hz, 16 bits, mono, and its name |
| `text` | lower case, no punctuation, numbers as words |
| `voice` | accent and speaker |
| `rate` | words a minute, {slowest} to {fastest} |
| `pitch` | {lowest} to {highest}; 50 is the speaker's own |
| `template` | the pattern |

The largest sample of an utterance lies {loudest} to {quietest} decibels below full scale.
`samples/` has a few of each split as WAV files to listen to.

## Why it is synthetic
So that the whole pipeline runs with no network, the data may be used by anyone for anything
(CC0-1.0), and nobody's voice is in it. The texts are the same on every machine. The audio is the
same bytes for one version of the synthesiser and the audio libraries, on one platform.

## Splits
{split_table}

A sentence occurs in one split only, by its hash; within a split it may occur again, mostly in
another voice. Every pattern is in every split, with other words in it. A voice is an accent of
English and a speaker. **No speaker of validation or test is heard in training**; the accents
({accents}) are. The speakers:

{speaker_rows}

## Vocabulary
{words}

No two of these words sound the same. Thirteen to nineteen are not among them.

## What figures on it do not tell
- A synthesiser says the same sound in much the same way each time. A good figure says that
  training, evaluation and the task's code work, and that a model handles unseen speakers of this
  one kind; it says nothing about people, rooms, microphones or noise: there is none here.
- Sentences of the test are new, but patterns and words are those of training. A model that has
  learnt the patterns needs to hear only what differs within them; so compare a word error rate
  with the baseline's, and only between runs on the same files.
- Each utterance is one sentence with silence cut away, shorter than {longest:g} seconds.
"""


def card(seed: int, counts: Mapping[str, Counts]) -> str:
    """The card's text, with the counts of each split."""
    sizes = {split: counts[split].templates.total() for split in SPLITS}
    firsts: dict[str, str] = {}
    for index in range(sizes["train"]):
        utterance = draw_utterance(seed, "train", index)
        firsts.setdefault(utterance.template, utterance.text)
        if len(firsts) == len(PATTERNS):
            break
    _, _, *pattern_rows = markdown_table(
        ["pattern", "first", *SPLITS],
        [
            [name, firsts.get(name, ""), *(counts[split].templates[name] for split in SPLITS)]
            for name in PATTERNS
        ],
    ).splitlines()
    return _CARD.format(
        seed=seed,
        utterances=sum(sizes.values()),
        hours=sum(counts[split].seconds for split in SPLITS) / 3600,
        patterns=len(PATTERNS),
        vocabulary=len(VOCABULARY),
        splits=" | ".join(SPLITS),
        rule="|".join(["---"] * len(SPLITS)),
        pattern_rows="\n".join(pattern_rows),
        rate=SAMPLE_RATE,
        slowest=RATES[0],
        fastest=RATES[-1],
        lowest=PITCHES[0],
        highest=PITCHES[-1],
        loudest=LEVELS[0],
        quietest=LEVELS[-1],
        split_table=markdown_table(
            ["", *SPLITS],
            [
                ["utterances", *sizes.values()],
                ["words", *(counts[split].words for split in SPLITS)],
                ["seconds", *(f"{counts[split].seconds:.0f}" for split in SPLITS)],
                ["longest, in seconds", *(f"{counts[split].longest:.2f}" for split in SPLITS)],
                ["speakers", *(len(SPEAKERS[split]) for split in SPLITS)],
            ],
        ),
        accents=", ".join(f"`{accent}`" for accent in ACCENTS),
        speaker_rows=markdown_table(
            ["split", "variants of espeak-ng"],
            [[split, ", ".join(SPEAKERS[split])] for split in SPLITS],
        ),
        words=", ".join(VOCABULARY) + ".",
        longest=MAX_SECONDS,
    )
