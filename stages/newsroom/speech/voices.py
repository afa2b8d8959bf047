"""The voices: speakers of each split, accents, rates, pitches and levels.

A voice of espeak-ng is an accent of English and a *variant*: a speaker's formants, pitch range and
stress. The package has about a hundred variants. Those that whisper, croak, echo or use one narrow
band are left out, and so are those whose mean spectrum in 24 bands is within about a decibel of
another in use.
"""

from typing import NamedTuple

from stages.newsroom.rng import Stream, words
from stages.newsroom.speech.sentences import draw_sentence

# British, American, received pronunciation, Lancashire and Scottish, by the library's names.
ACCENTS = words("en en-us en-gb-x-rp en-gb-x-gbclan en-gb-scotland")
# No speaker is in two splits. Women first.
SPEAKERS = {
    "train": words(
        "f1 f5 Alicia Andrea belinda grandma shelby "
        "m1 m2 m4 m5 m8 Alex Andy Denis Gene Michael adam boris david john klatt4 quincy rob"
    ),
    "validation": words("f4 aunty Diogo Mario m6 pedro"),
    "test": words("f2 f3 Annie linda m3 m7 michel pablo"),
}
# Words a minute, as the synthesiser counts them. Pitch is 0 to 99; 50 is the speaker's own.
RATES = range(190, 246)
PITCHES = range(35, 66)
# Level of the largest sample, in decibels below full scale.
LEVELS = range(6, 25)


class Utterance(NamedTuple):
    """One utterance to synthesise.

    template, text: the name of the pattern, and the words.
    voice: accent and speaker as espeak-ng names them, `en-us+f2`.
    rate: words a minute.
    pitch: 0 to 99.
    level: decibels below full scale of the largest sample.
    seed: of the synthesiser's random numbers, which make breath and flutter.
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
        voice=f"{stream.choice(ACCENTS)}+{stream.choice(SPEAKERS[split])}",
        rate=stream.choice(RATES),
        pitch=stream.choice(PITCHES),
        level=stream.choice(LEVELS),
        seed=stream.randrange(1 << 31),
    )
