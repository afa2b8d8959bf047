"""Names built from syllables, of which each belongs to one split only.

A *stem* is two or three syllables ("Tevin", "Galanard"); a *name* is a stem in the dress of a
kind: Tevin Works, Port Tevin, the Tevin Cup, or bare. The hash of a stem puts it in one of ten
buckets: 0 to 5 are shared, 6 and 7 are validation's own, 8 and 9 are test's own. Training draws
shared stems only; validation and test draw `OWN_SHARE` per cent of their stems from their own
buckets, where nothing of training can be. A name made of shared stems alone is hashed again,
whole, by the same rule: so a written name, and with it any sentence that holds one, occurs in one
split only. Nothing is remembered, so a million names cost no memory.
"""

from dataclasses import dataclass

from stages.newsroom.rng import Stream, bucket, words

SPLITS = ("train", "validation", "test")
KINDS = ("PER", "ORG", "LOC", "MISC")
OWN_SHARE = 85
_OWN_BUCKET = {"train": range(6), "validation": range(6, 8), "test": range(8, 10)}

FIRST = words(
    "Bav Bel Bir Cad Cor Dal Dov Dur Esk Fen Fir Gal Gor Hal Hev Ilv Jor Kel Kir Lam "
    "Lov Lun Mar Mev Mor Nal Nev Ost Pel Pir Quor Rad Rov Sel Sor Tam Tev Vol Wex Zan"
)
MIDDLE = words("al an av em er id ir ol ov ul")
LAST = words(
    "ack ak alt and ane ard arn aro ath ell emo ena eno ery est eth eva ilo ima imo "
    "in ith iva olo ond ora orn osk ost ova ulm und urn usk uva yra"
)

# "&" shows that punctuation stands inside names; a stem alone, or two, that only the sentence
# tells from a town or a person.
_PATTERNS = {
    "ORG": (
        "{} Works",
        "{} & Sons",
        "{} Group",
        "Bank of {}",
        "{} Foods",
        "{} Rail",
        "{}",
        "{} {}",
    ),
    "LOC": ("Port {}", "{} Hill", "{} Bay", "{}ford", "{}wick", "{}", "{}", "{}"),
    "MISC": ("{} Prize", "{} Medal"),
    "CUP": ("{} Cup", "{} Shield"),
}


@dataclass(frozen=True)
class Name:
    """A name as it is written, with what it is and the stems it is made of."""

    text: str
    kind: str
    stems: tuple[str, ...]


def is_own(split: str, text: str) -> bool:
    """Whether the hash of a stem or a whole name gives it to `split`."""
    return bucket(text) in _OWN_BUCKET[split]


def draw_stem(stream: Stream, split: str, short: bool = False) -> str:
    """A stem that `split` may use: its own, or (for validation and test) a shared one."""
    wanted = split if split == "train" or stream.percent(OWN_SHARE) else "train"
    while True:
        middle = "" if short or stream.percent(65) else stream.pick(MIDDLE)
        stem = stream.pick(FIRST) + middle + stream.pick(LAST)
        if is_own(wanted, stem):
            return stem


def draw_name(stream: Stream, split: str, kind: str, lent: tuple[str, ...] = ()) -> Name:
    """A name of `kind` (or `CUP`, a MISC) that occurs in `split` only.

    Where `lent` holds stems, the name is built on one of them: a person may bear the name of a
    town or a firm of the same story, and only the context tells which of them is meant.
    """
    while True:
        stem = stream.pick(lent) if lent else draw_stem(stream, split, short=kind != "PER")
        if kind == "PER":
            stems = (draw_stem(stream, split, short=True), stem)
            text = " ".join(stems)
        else:
            pattern = stream.pick(_PATTERNS[kind])
            stems = (stem,) if pattern.count("{}") == 1 else (draw_stem(stream, split, True), stem)
            text = pattern.format(*stems)
        own = split != "train" and any(is_own(split, stem) for stem in stems)
        if len(set(stems)) == len(stems) and (own or is_own(split, text)):
            return Name(text, "MISC" if kind == "CUP" else kind, stems)
        # A lent stem may have no name of its own in this split: go on with fresh ones.
        lent = ()
