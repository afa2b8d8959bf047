"""Announcements about places, times, prices, journeys and rooms, from a closed vocabulary.

Text is in lower case, with numbers as words and without punctuation. The vocabulary has no
homophones, and none of thirteen to nineteen, which sound almost like thirty to ninety.
"""

import re
from typing import NamedTuple

from stages.newsroom.rng import Stream, bucket, words

PATTERNS = {
    "departure": "the {turn} {vehicle} from {town} leaves at {time}",
    "arrival": "the {vehicle} from {town} reaches {town} at {time}",
    "delay": "the {vehicle} from {town} is {number} minutes late {day}",
    "platform": "the {turn} {vehicle} from {town} waits on platform {hour}",
    "fare": "a ticket from {town} into {town} costs {money}",
    "price": "{goods} costs {money} in {town} {day}",
    "room": "the {event} {day} moves into room {unit} {unit} {unit}",
    "hall": "the {event} in the {colour} {hall} starts at {time}",
    "opening": "the {place} in {town} {turns} {day} at {time}",
    "visit": "the {role} visits the {place} in {town} {weekday} {part}",
}
# The equally likely entries of a slot; an entry may contain slots.
SLOTS = {
    # Made of the newsroom's syllables, and sufficiently different from each other.
    "town": words(
        "belova corath dovulm esketh galimo haleth luneva mirand nevilo pirusk selond wexorn"
    ),
    "turn": words("first last early late fast slow"),
    "vehicle": words("train bus ferry tram plane coach"),
    "place": words(
        "bridge castle church garden harbour hospital library market museum school station theatre"
    ),
    "turns": words("opens closes"),
    "role": words("captain doctor judge lawyer mayor painter sailor singer teacher"),
    "event": words("auction concert dance dinner exam lecture meeting parade wedding"),
    "colour": words("black blue green purple red white yellow"),
    "hall": words("hall kitchen office room tower"),
    "goods": words("bread butter cheese coffee fish honey milk rice salt sugar"),
    "weekday": words("monday tuesday wednesday thursday friday saturday sunday"),
    "day": (*("{weekday}",) * 7, "today", "tomorrow"),
    "part": words("morning afternoon evening night"),
    "time": (
        "{hour}",
        "{hour}",
        "half past {hour}",
        "half past {hour}",
        "quarter past {hour}",
        "{few} past {hour}",
        "noon",
        "midnight",
    ),
    "few": words("five ten twenty"),
    "money": ("{number} pounds", "{number} pounds", "{number} pence", "{some} pounds {tens}"),
    "number": ("{some}", "{tens}", "{tens} {unit}", "{tens} {unit}"),
    "unit": words("one two three four five six seven eight nine"),
    "some": words("two three four five six seven eight nine ten eleven twelve"),
    "hour": words("one two three four five six seven eight nine ten eleven twelve"),
    "tens": words("twenty thirty forty fifty sixty seventy eighty ninety"),
}
VOCABULARY = tuple(
    sorted(
        {
            word
            for text in (*PATTERNS.values(), *(entry for slot in SLOTS.values() for entry in slot))
            for word in text.split()
            if "{" not in word
        }
    )
)
# Buckets of a sentence's hash, out of ten.
OWN_BUCKETS = {"train": range(8), "validation": (8,), "test": (9,)}
_SLOT = re.compile(r"\{(\w+)\}")


class Sentence(NamedTuple):
    """A text, and the name of its pattern."""

    template: str
    text: str


def draw_sentence(stream: Stream, split: str) -> Sentence:
    """A sentence that occurs in `split` only.

    The pattern is drawn first and kept; words are drawn until the hash of the sentence assigns it
    to the split. So patterns are equally frequent in all splits.
    """
    template = stream.choice(tuple(PATTERNS))
    while True:
        text = _fill(stream, PATTERNS[template])
        if bucket(text) in OWN_BUCKETS[split]:
            return Sentence(template, text)


def _fill(stream: Stream, text: str) -> str:
    """`text` with its slots filled; no slot gets the same entry twice."""
    used = set()
    while slot := _SLOT.search(text):
        entry = stream.choice(SLOTS[slot[1]])
        if (slot[1], entry) not in used:
            used.add((slot[1], entry))
            text = text[: slot.start()] + entry + text[slot.end() :]
    return text
