"""Who reads, and how: speakers of each split, accents, rates, pitches and levels.

A voice of espeak-ng is an accent of English and a *variant*: a speaker's formants, pitch range and
way of stressing. The package brings about a hundred variants. Left out are those that whisper,
croak, echo, sound through one narrow band, or sit within a decibel or so (as their mean spectra in
24 bands go) of another that is taken.
"""

from typing import NamedTuple

from stages.newsroom.rng import Stream, words
from stages.newsroom.speech.sentences import draw_sentence

# British, American, "received", Lancashire and Scottish, by the names that the library knows.
ACCENTS = words("en en-us en-gb-x-rp en-gb-x-gbclan en-gb-scotland")
# No speaker of one split is heard in another. Women first.
SPEAKERS = {
    "train": words(
        "f1 f5 Alicia Andrea belinda grandma shelby "
        "m1 m2 m4 m5 m8 Alex Andy Denis Gene Michael adam boris david john klatt4 quincy rob"
    ),
    "validation": words("f4 aunty Diogo Mario m6 pedro"),
    "test": words("f2 f3 Annie linda m3 m7 michel pablo"),
}
# Words a minute, as the synthesiser counts them; its pitch goes from 0 to 99, 50 is the speaker's.
RATES = range(190, 246)
PITCHES = range(35, 66)
# The largest sample, in decibels below full scale.
LEVELS = range(6, 25)


class Utterance(NamedTuple):
    """One thing to be said.

    template, text: the pattern and the words.
    voice: accent and speaker as espeak-ng names them, `en-us+f2`.
    rate: words a minute.
    pitch: 0 to 99.
    level: decibels below full scale of the largest sample.
    seed: for the synthesiser's own random numbers, which make breath and flutter.
    """

    template: str
    text: str
    voice: str
    rate: int
    pitch: int
    level: int
    seed: int


def draw_utterance(seed: int, split: str, index: int) -> Utterance:
    """Utterance number `index`, from 0, of a split; the same on every machine."""
    key = (seed, "speech", split, index)
    sentence = draw_sentence(Stream(*key, "sentence"), split)
    stream = Stream(*key, "voice")
    return Utterance(
        *sentence,
        voice=f"{stream.pick(ACCENTS)}+{stream.pick(SPEAKERS[split])}",
        rate=stream.pick(RATES),
        pitch=stream.pick(PITCHES),
        level=stream.pick(LEVELS),
        seed=stream.below(1 << 31),
    )
