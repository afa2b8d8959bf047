"""Names built from syllables; each name occurs in one split only.

A *stem* is two or three syllables ("Tevin", "Galanard"); a *name* is a stem in a pattern of its
kind: Tevin Works, Port Tevin, the Tevin Cup, or the stem alone. A stem's hash assigns it to one of
ten buckets: 0 to 5 are shared, 6 and 7 belong to validation, 8 and 9 to test. Training draws
only shared stems; validation and test draw `OWN_SHARE` per cent of their stems from their own
buckets, which training never uses. A name made only of shared stems is assigned by the hash of the
whole name in the same way. So a written name, and any sentence with one, occurs in one split only.
Nothing is stored, so a million names take no memory.
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

# "&" puts punctuation inside names. One or two bare stems can be told from a town or a person only
# by the sentence.
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
    """A name as written, with its kind and its stems."""

    text: str
    kind: str
    stems: tuple[str, ...]


def belongs_to(split: str, text: str) -> bool:
    """Whether the hash of a stem or a whole name assigns it to `split`."""
    return bucket(text) in _OWN_BUCKET[split]


def draw_stem(stream: Stream, split: str, short: bool = False) -> str:
    """A stem that `split` may use: its own, or a shared one in validation and test."""
    wanted = split if split == "train" or stream.percent(OWN_SHARE) else "train"
    while True:
        middle = "" if short or stream.percent(65) else stream.choice(MIDDLE)
        stem = stream.choice(FIRST) + middle + stream.choice(LAST)
        if belongs_to(wanted, stem):
            return stem


def draw_name(stream: Stream, split: str, kind: str, reusable: tuple[str, ...] = ()) -> Name:
    """A name of `kind` (or `CUP`, a MISC) that occurs in `split` only.

    If there are `reusable` stems, the name is built on one of them: a person may share the name of
    a town or a firm in the same story, and only the context tells them apart.
    """
    while True:
        stem = (
            stream.choice(reusable) if reusable else draw_stem(stream, split, short=kind != "PER")
        )
        if kind == "PER":
            stems = (draw_stem(stream, split, short=True), stem)
            text = " ".join(stems)
        else:
            pattern = stream.choice(_PATTERNS[kind])
            stems = (stem,) if pattern.count("{}") == 1 else (draw_stem(stream, split, True), stem)
            text = pattern.format(*stems)
        own = split != "train" and any(belongs_to(split, stem) for stem in stems)
        if len(set(stems)) == len(stems) and (own or belongs_to(split, text)):
            return Name(text, "MISC" if kind == "CUP" else kind, stems)
        # A reusable stem may give no name of this split: continue with new ones.
        reusable = ()
