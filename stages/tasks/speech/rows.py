"""What a model gets of each clip: features, label tokens, and only if it can take them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX
from stages.tasks.speech.examples import Examples
from stages.tasks.speech.features import Features


@dataclass(frozen=True)
class Rows:
    """The clips that a model takes, and why not the others.

    examples: all clips.
    kept: the rows that are taken, in order.
    refused: row to what is wrong with it.
    columns: for `Batches`, one entry a kept row: `input_features` float32 [mels, frames],
        `labels` int32 [tokens], `frames` (how many hold sound).
    """

    examples: Examples
    kept: list[int]
    refused: dict[int, str]
    columns: dict[str, Sequence]

    def texts(self) -> list[str]:
        """The transcripts of the kept rows."""
        return [self.examples.texts[row] for row in self.kept]

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


def encode_labels(tokenizer, texts: Sequence[str], prompt: Sequence[int]) -> list[np.ndarray]:
    """Label tokens of transcripts, an int32 array [tokens] each.

    Args:
        tokenizer: Whisper's.
        texts: the transcripts.
        prompt: the decoder's first tokens. All but the start token come first in the labels:
            language, task, no timestamps; then the text and the end token. The model shifts them
            right behind the start token itself.

    Raises:
        InputError: the language is to be detected, so that there is no token for it.
    """
    if None in prompt:
        raise InputError(
            "the model is multilingual; name what is spoken, as --language german, to train it or "
            "to score its transcripts"
        )
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return [
        np.array([*prompt[1:], *ids, tokenizer.eos_token_id], dtype=np.int32) for ids in encoded
    ]


def select_rows(
    examples: Examples,
    features: Features,
    labels: list[np.ndarray] | None,
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
    refused = {}
    for row, seconds in enumerate(features.seconds):
        if seconds < shortest:
            refused[row] = f"{seconds:.2f} s of audio, less than {shortest:g}"
        elif seconds > longest:
            refused[row] = f"{seconds:.2f} s of audio, more than {longest:g}"
        elif labels is not None and len(labels[row]) > most_tokens:
            refused[row] = f"a transcript of {len(labels[row])} tokens, more than {most_tokens}"
    kept = [row for row in range(len(examples)) if row not in refused]
    if not kept:
        row, why = next(iter(refused.items()))
        raise InputError(
            f"{examples.where(row)}: {why}, and no other clip is within the limits; see "
            f"--max_duration_in_seconds (the model hears {heard:g} s) and --max_label_length"
        )
    frames = features.arrays.shape[-1]
    columns = {
        "input_features": [features.arrays[row] for row in kept],
        "frames": [int(np.ceil(features.seconds[row] / heard * frames)) for row in kept],
        "labels": [
            # Nothing to score, but a row.
            np.array([IGNORE_INDEX], np.int32) if labels is None else labels[row]
            for row in kept
        ],
    }
    return Rows(examples, kept, refused, columns)
