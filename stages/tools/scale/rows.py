"""Made-up rows of any number, written one by one: text of usual lengths, no two rows equal."""

import csv
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

# Words of two or three syllables, so few that each becomes one token.
_SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
_MAKER = random.Random("words")
WORDS = sorted({"".join(_MAKER.sample(_SYLLABLES, _MAKER.choice((2, 2, 3)))) for _ in range(420)})
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TAGS = ("PER", "LOC", "ORG")


def number(row: int) -> str:
    """What makes a row differ from all others; equally long in each."""
    return f"{row:08d}"


def words(rng: random.Random, row: int, least: int, most: int) -> list[str]:
    """So many words, by chance; the most of them in the first row.

    The longest row gives batches their shape, which so is the same at every size of data.
    """
    return rng.choices(WORDS, k=rng.randint(least, most) if row else most)


def pair(rng: random.Random, row: int) -> dict:
    """Two sentences of 6 to 14 words and one of two classes."""
    one, two = words(rng, row, 5, 13), words(rng, row, 6, 14)
    return {
        "sentence1": " ".join([*one, number(row)]),
        "sentence2": " ".join(two),
        "label": rng.randrange(2),
    }


def sentence(rng: random.Random, row: int) -> dict:
    """A sentence of 5 to 20 words, each with its tag."""
    tokens = [*words(rng, row, 4, 19), number(row)]
    tags = ["O"] * len(tokens)
    for _ in range(rng.randint(0, 2)):
        place, kind = rng.randrange(len(tokens) - 1), rng.choice(TAGS)
        if tags[place] == tags[place + 1] == "O":
            tags[place : place + 2] = f"B-{kind}", f"I-{kind}"
    return {"tokens": tokens, "ner_tags": tags}


def question(rng: random.Random, row: int) -> dict:
    """A context of 40 to 80 words, and a question whose answer is some of them."""
    context = words(rng, row, 39, 79)
    context.insert(rng.randrange(len(context)), number(row))
    begin = rng.randrange(len(context) - 3)
    answer = " ".join(context[begin : begin + rng.randint(1, 3)])
    start = len(" ".join([*context[:begin], ""]))
    return {
        "id": number(row),
        "question": " ".join(words(rng, row, 5, 10)) + "?",
        "context": " ".join(context),
        "answers": {"text": [answer], "answer_start": [start]},
    }


def document(rng: random.Random, row: int) -> dict:
    """A line of 12 to 28 words."""
    return {"text": " ".join([number(row), *words(rng, row, 11, 27)])}


def gapped(rng: random.Random, row: int) -> dict:
    """A line of 12 to 28 words, one of them missing."""
    text = [number(row), *words(rng, row, 11, 27)]
    text[rng.randrange(1, len(text))] = "<extra_id_0>"
    return {"text": " ".join(text)}


def story(rng: random.Random, row: int) -> dict:
    """A document of 40 words and a summary of 8 of them."""
    text = [number(row), *words(rng, row, 39, 39)]
    return {"document": " ".join(text), "summary": " ".join(text[:8])}


# What is written for each task, and in which form.
ROWS: dict[str, tuple[Callable[[random.Random, int], dict], str]] = {
    "glue": (pair, ".csv"),
    "ner": (sentence, ".json"),
    "qa": (question, ".json"),
    "mlm": (document, ".txt"),
    "clm": (document, ".json"),
    "t5_mlm": (document, ".txt"),
    "summarization": (story, ".json"),
}
# What is generated from, where that differs.
PROMPTS = {**ROWS, "t5_mlm": (gapped, ".txt")}


def made(make: Callable, count: int, seed: str) -> Iterator:
    """`count` rows, the same for the same seed."""
    rng = random.Random(seed)
    return (make(rng, row) for row in range(count))


def write_rows(path: Path, make: Callable, count: int) -> Path:
    """Write rows in the form that the file's ending names; its name is the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = made(make, count, path.name)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        if path.suffix == ".csv":
            writer = None
            for row in rows:
                if writer is None:
                    writer = csv.DictWriter(file, list(row), lineterminator="\n")
                    writer.writeheader()
                writer.writerow(row)
        else:
            # In running text an empty line ends a document.
            for row in rows:
                file.write(f"{row['text']}\n\n" if path.suffix == ".txt" else _line(row))
    return path


def _line(row: dict) -> str:
    return json.dumps(row) + "\n"


def spoken(row: int) -> str:
    """The digits of a number as words."""
    return " ".join(DIGITS[int(digit)] for digit in f"{row:06d}")


def write_clips(folder: Path, count: int) -> Path:
    """A folder of half a second of tone each, in the form of `datasets`.

    There are eight different clips, to which rows refer again and again; no two transcripts are
    equal.
    """
    import numpy as np
    import soundfile

    rate, tones = 16_000, 8
    folder.mkdir(parents=True)
    for tone in range(tones):
        wave = 0.5 * np.sin(2 * np.pi * 220 * (tone + 1) * np.arange(rate // 2) / rate)
        soundfile.write(folder / f"{tone}.wav", wave, rate)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file_name", "text"))
        writer.writerows((f"{row % tones}.wav", spoken(row)) for row in range(count))
    return folder
