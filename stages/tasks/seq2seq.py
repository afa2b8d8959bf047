"""The loss of encoder-decoders: each target token is predicted from the true ones before it."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import nnx

from stages.data.batching import Batches
from stages.data.packing import SEQUENCE_IDS, TARGET_SEQUENCE_IDS
from stages.training.loop import run_batches
from stages.training.losses import cross_entropy

# Gives the new tokens of all rows, and their text; `stages.generation.generate_text` bound to a
# step, a model and a tokenizer.
Generate = Callable[[Batches], tuple[Sequence[np.ndarray], Sequence[str]]]

SOURCES = ("input_ids", "attention_mask", "input_features", SEQUENCE_IDS)


def target_logits(model: nnx.Module, batch, rngs: nnx.Rngs | None = None) -> jax.Array:
    """Logits float32 [rows, time, vocabulary] of each target, given the true ones before it.

    Args:
        model: has `decoder_inputs`, which shifts the targets.
        batch: `labels` int32 [rows, time], and those of `SOURCES` that the encoder takes; perhaps
            of `PackedBatches`.
        rngs: for dropout, in training.
    """
    sources = {name: batch[name] for name in SOURCES if name in batch}
    sequences = batch.get(TARGET_SEQUENCE_IDS)
    if sequences is not None:
        sources["decoder_sequence_ids"] = sequences
    targets = model.decoder_inputs(batch["labels"], sequences)
    return model(**sources, decoder_input_ids=targets, rngs=rngs)


def target_loss(
    model: nnx.Module, batch, rngs: nnx.Rngs | None = None, label_smoothing: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Negative log likelihood of the targets, summed, and their number; see `cross_entropy`."""
    return cross_entropy(target_logits(model, batch, rngs), batch["labels"], label_smoothing)


def score_targets(model: nnx.Module, batch) -> dict[str, jax.Array]:
    """The output of an evaluation step for `mean_loss`: sum of losses, number of tokens."""
    total, count = target_loss(model, batch)
    return {"loss": total, "count": count}


def mean_loss(eval_step: Callable, model: nnx.Module, batches: Batches) -> float:
    """The mean loss of a target token in nats, over all rows; `eval_step` of `score_targets`."""
    sums = [(out["loss"], out["count"]) for _, out in run_batches(eval_step, model, batches)]
    total, count = np.sum(sums, axis=0, dtype=np.float64)
    return float(total / count)
