"""What encoder-decoders share: a loss over target tokens, each told after the true ones."""

from collections.abc import Callable

import jax
import numpy as np
from flax import nnx

from stages.data.batching import Batches
from stages.training.loop import run_batches
from stages.training.losses import cross_entropy

SOURCES = ("input_ids", "attention_mask", "input_features")


def target_logits(model: nnx.Module, batch, rngs: nnx.Rngs | None = None) -> jax.Array:
    """Logits float32 [rows, time, vocabulary] of each target after the true ones before it.

    Args:
        model: has `decoder_inputs`, which shifts the targets.
        batch: `labels` int32 [rows, time], and of `SOURCES` what the encoder takes.
        rngs: for dropout, in training.
    """
    sources = {name: batch[name] for name in SOURCES if name in batch}
    targets = model.decoder_inputs(batch["labels"])
    return model(**sources, decoder_input_ids=targets, rngs=rngs)


def target_loss(
    model: nnx.Module, batch, rngs: nnx.Rngs | None = None, label_smoothing: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Negative log likelihood of the targets, summed, and their number; see `cross_entropy`."""
    return cross_entropy(target_logits(model, batch, rngs), batch["labels"], label_smoothing)


def score_targets(model: nnx.Module, batch) -> dict[str, jax.Array]:
    """What `mean_loss` adds up: losses without smoothing, and scored tokens."""
    total, count = target_loss(model, batch)
    return {"loss": total, "count": count}


def mean_loss(eval_step: Callable, model: nnx.Module, batches: Batches) -> float:
    """The loss of a target token in nats, over all rows; `eval_step` is of `score_targets`."""
    sums = [(out["loss"], out["count"]) for _, out in run_batches(eval_step, model, batches)]
    total, count = np.sum(sums, axis=0, dtype=np.float64)
    return float(total / count)
