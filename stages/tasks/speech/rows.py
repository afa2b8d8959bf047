"""What a model gets of each clip: features, label tokens, and only if it can take them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder, encode_ids
from stages.data.shapes import row_lengths
from stages.data.store import RaggedColumn
from stages.data.views import Constant, Picked
from stages.data.writer import Writer, ragged_array
from stages.tasks.speech.examples import Examples
from stages.tasks.speech.features import Features
from stages.tasks.speech.noise import is_noise


@dataclass(frozen=True)
class Rows:
    """The clips that a model takes, and why not the others.

    examples: all clips.
    kept: int64 array, the rows that are taken, in order.
    refused: row to what is wrong with it.
    columns: for `Batches`, one entry a kept row: `input_features` float32 [mels, frames],
        `labels` int32 [tokens], `frames` (how many hold sound).
    """

    examples: Examples
    kept: np.ndarray
    refused: dict[int, str]
    columns: dict[str, Sequence]

    def texts(self) -> Sequence[str]:
        """The transcripts of the kept rows."""
        return Picked(self.examples.texts, self.kept)

    def refusals(self) -> list[str]:
        """A line for each refused row."""
        return [f"{self.examples.where(row)}: {why}" for row, why in self.refused.items()]

    def print_refusals(self) -> None:
        """Print all of these."""
        for line in self.refusals():
            print(f"refused: {line}")

    def print_left_out(self) -> None:
        """Print how many of the clips are not trained on, if any, and the first."""
        if self.refused:
            print(
                f"{len(self.refused)} of {len(self.examples)} clips are left out of training, "
                f"the first is {self.refusals()[0]}"
            )


def record_language(model, language: str | None, task: str | None) -> None:
    """Put language and task, if given, into the generation config that the model is saved with."""
    config = copy.deepcopy(model.generation_config)
    for name, value in (("language", language), ("task", task)):
        if value is not None:
            setattr(config, name, value)
    model.generation_config = config


def encode_labels(
    encoder: Encoder, texts: Sequence[str], prompt: Sequence[int], cache: RowCache = UNCACHED
) -> RaggedColumn:
    """Label tokens of transcripts, an int32 array [tokens] each.

    Args:
        encoder: of Whisper's tokenizer.
        texts: the transcripts.
        prompt: the decoder's first tokens. All but the start token come first in the labels:
            language, task, no timestamps; then the text and the end token. The model shifts them
            right behind the start token itself.
        cache: keeps the tokens of a store's texts.

    Raises:
        InputError: the language is to be detected, so that there is no token for it.
    """
    if None in prompt:
        raise InputError(
            "the model is multilingual; name what is spoken, as --language german, to train it or "
            "to score its transcripts"
        )
    first, last = list(prompt[1:]), encoder.tokenizer.eos_token_id

    def build(writer: Writer) -> None:
        make = partial(encode_ids, special_tokens=False)
        for chunk in encoder.encode_all(texts, len(texts), make):
            rows = [[*first, *ids, last] for ids in chunk]
            writer.write({"labels": ragged_array(rows, np.int32)})

    inputs = {
        "texts": getattr(texts, "fingerprint", None),
        "tokenizer": encoder.fingerprint,
        "prompt": [*first, last],
    }
    # What has no fingerprint would be found for other texts.
    cache = UNCACHED if inputs["texts"] is None else cache
    return cache.get("speech-labels", inputs, build).column("labels")


def select_rows(
    examples: Examples,
    features: Features,
    labels: Sequence[np.ndarray] | None,
    *,
    shortest: float,
    longest: float,
    heard: float,
    most_tokens: int,
) -> Rows:
    """The rows within the limits.

    Args:
        examples, features: of all clips.
        labels: of all clips; None where there are no transcripts.
        shortest, longest: seconds that a clip may last.
        heard: seconds of a clip that the model hears.
        most_tokens: label tokens that a transcript may have.

    Raises:
        InputError: no row is.
    """
    longest = min(longest, heard)
    seconds = features.seconds
    tokens = np.zeros(len(seconds), np.int64) if labels is None else row_lengths(labels)
    out = (seconds < shortest) | (seconds > longest)
    refused = {}
    for row in np.flatnonzero(out | (tokens > most_tokens)):
        if seconds[row] < shortest:
            why = f"{seconds[row]:.2f} s of audio, less than {shortest:g}"
        elif seconds[row] > longest:
            why = f"{seconds[row]:.2f} s of audio, more than {longest:g}"
        else:
            why = f"a transcript of {tokens[row]} tokens, more than {most_tokens}"
        refused[int(row)] = why
    frames = np.ceil(seconds / heard * features.arrays[0].shape[-1]).astype(np.int32)
    if labels is None:  # what has a transcript is scored, however noisy
        for row in range(len(seconds)):
            if row not in refused and is_noise(features.arrays[row], frames[row]):
                refused[row] = "noise from end to end, and no speech"
        refused = dict(sorted(refused.items()))
    kept = np.setdiff1d(np.arange(len(seconds)), list(refused))
    if not len(kept):
        row, why = next(iter(refused.items()))
        raise InputError(
            f"{examples.where(row)}: {why}, and no other clip is within the limits; see "
            "--min_duration_in_seconds, --max_duration_in_seconds (the model hears "
            f"{heard:g} s) and --max_label_length"
        )
    # Nothing to score, but a row.
    unknown = Constant(IGNORE_INDEX, np.ones(len(kept), np.int64))
    columns = {
        "input_features": Picked(features.arrays, kept),
        "frames": frames[kept],
        "labels": unknown if labels is None else Picked(labels, kept),
    }
    return Rows(examples, kept, refused, columns)
