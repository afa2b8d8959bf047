"""A model of one table with its rows, loss and arguments: the training core needs no more."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.data.batching import IGNORE_INDEX, Batches
from stages.models.dropout import dropout
from stages.models.precision import set_compute_dtype
from stages.training.arguments import CommonArguments
from stages.training.loop import fit
from stages.training.losses import cross_entropy


class Table(nnx.Module):
    """Logits of a token are a row of a table and a bias."""

    def __init__(self, rate: float = 0.0):
        values = np.random.default_rng(0).normal(size=(5, 3))
        self.table = nnx.Param(jnp.asarray(values, jnp.float32))
        self.bias = nnx.Param(jnp.array([0.1, -0.2, 0.3]))
        self.rate = rate

    def __call__(self, ids, rngs=None):
        return dropout(self.table[...][ids], self.rate, rngs) + self.bias[...]


def loss(model, batch, rngs):
    """The sum of losses over the scored tokens and their number."""
    return cross_entropy(model(batch["input_ids"], rngs), batch["labels"])


def arguments(folder, **values):
    """Arguments of a training into `folder`."""
    fixed = {"model_name_or_path": "m", "train_file": "t", "do_train": True}
    return CommonArguments(output_dir=str(folder), **fixed, **values)


def rows(size=2, **options):
    """Batches of five rows of 1 to 9 tokens, some of which are not scored."""
    ids = [[1, 2, 3], [4, 0], [2], [1, 1, 1, 1, 1, 1, 1, 1, 1], [3, 3]]
    labels = [[0, IGNORE_INDEX, 2], [1, 1], [2], [0, 1, 2, 0, 1, 2, 0, 1, 2], [IGNORE_INDEX, 0]]
    return make_batches(ids, labels, size, **options)


def many_rows(size, count=21, **options):
    """Batches of `count` drawn rows of 1 to 30 tokens, about half of which are scored."""
    rng = np.random.default_rng(5)
    ids = [rng.integers(0, 5, length) for length in rng.integers(1, 31, count)]
    labels = [np.where(rng.random(len(row)) < 0.5, IGNORE_INDEX, row % 3) for row in ids]
    return make_batches(ids, labels, size, **options)


def make_batches(ids, labels, size, buckets=2, **options):
    """Batches with everything attended to but padding."""
    return Batches(
        {"input_ids": ids, "labels": labels, "attention_mask": [[1] * len(row) for row in ids]},
        padding={"labels": IGNORE_INDEX},
        batch_size=size,
        buckets=buckets,
        **options,
    )


def values_of(model) -> dict[str, np.ndarray]:
    """The model's parameters by name."""
    return {name: np.asarray(array) for name, array in nnx.to_pure_dict(nnx.state(model)).items()}


def train(folder, size, parts, *, rate=0.0, dtype="float32", loss=loss, **values):
    """Two passes over the drawn rows: the trained values, losses and rates, times."""
    model = Table(rate)
    set_compute_dtype(model, dtype)
    values = {"num_train_epochs": 2, "learning_rate": 0.05, **values}
    args = arguments(folder, gradient_accumulation_steps=parts, logging_steps=1, **values)
    fit(model, loss, many_rows(size), args)
    curve = np.loadtxt(Path(folder) / "runs/train.csv", delimiter=",", skiprows=1)
    return values_of(model), curve, json.loads((Path(folder) / "runs/times.json").read_text())
