"""Gradient accumulation: the parts of a batch give the update of the whole."""

import json

import jax
import numpy as np
import pytest
from flax import nnx
from support import toy_models
from support.table_model import Table, arguments, loss, many_rows, train, values_of

from stages import models
from stages.training.loop import fit
from stages.training.losses import cross_entropy


def update_of(values):
    """What the training added to the values that a table starts with."""
    return np.concatenate(
        [(values[name] - first).ravel() for name, first in values_of(Table()).items()]
    )


def test_four_batches_of_two_are_one_of_eight(tmp_path):
    """21 ragged rows in two buckets: three updates a pass, the last one of five rows."""
    whole, curve, times = train(tmp_path / "whole", 8, 1)
    parted, parted_curve, parted_times = train(tmp_path / "parted", 2, 4)
    difference = update_of(parted) - update_of(whole)
    assert np.linalg.norm(difference) <= 1e-5 * np.linalg.norm(update_of(whole))
    # Steps, and with them the schedule, are updates.
    assert curve[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(parted_curve, curve, rtol=1e-5)
    np.testing.assert_allclose(curve[:, 2], [0.05 * left / 6 for left in (6, 5, 4, 3, 2, 1)], 1e-5)
    assert parted_times["tokens"] == times["tokens"]
    # A program a bucket, however many parts.
    assert times["compilations"] == parted_times["compilations"] == 2


@pytest.mark.slow
def test_one_update_of_an_encoder_is_that_of_the_large_batch(tmp_path):
    """With a model of every kind of parameter, in one update from the same weights."""
    config = toy_models.make_config("bert", 5)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    config.num_labels = 3

    def token_loss(model, batch, rngs):
        logits = model(batch["input_ids"], batch["attention_mask"], rngs=rngs)
        return cross_entropy(logits, batch["labels"])

    def update(size, parts):
        model = models.from_config(config, "token_classification", seed=2)
        before = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model))]
        # A large epsilon: else Adam makes a whole step of what rounding leaves of a zero, such
        # as the gradient of a key's bias.
        fit(
            model,
            token_loss,
            many_rows(size, buckets=1),
            arguments(
                tmp_path / str(size), gradient_accumulation_steps=parts, max_steps=1,
                adam_epsilon=1e-3, learning_rate=0.1,
            ),
        )  # fmt: skip
        after = jax.tree.leaves(nnx.state(model))
        moves = [np.asarray(new) - old for new, old in zip(after, before, strict=True)]
        return np.concatenate([move.ravel() for move in moves])

    whole, parted = update(8, 1), update(2, 4)
    assert np.linalg.norm(parted - whole) <= 1e-5 * np.linalg.norm(whole)


def test_parts_without_rows_are_left_out_and_draw_their_own_dropout(tmp_path):
    seen = []

    def watched(model, batch, rngs):
        mask = jax.random.key_data(rngs.dropout())
        jax.debug.callback(lambda key: seen.append(tuple(key.tolist())), mask)
        return loss(model, batch, rngs)

    train(tmp_path, 2, 4, loss=watched, max_steps=3)
    jax.effects_barrier()
    assert len(seen) == 4 + 4 + 3
    assert len(set(seen)) == len(seen)


def test_accumulation_on_four_devices_is_that_of_one(four_devices, tmp_path):
    """Parts of four rows, whole or one on each of four devices; with dropout."""
    values, curve, _ = train(tmp_path, 4, 2, rate=0.5)
    other_values, other_curve, other_times = json.loads(
        (four_devices("parts") / "table.json").read_text()
    )
    np.testing.assert_allclose(other_curve, curve, rtol=1e-5)
    for name, value in values.items():
        np.testing.assert_allclose(other_values[name], value, rtol=1e-5)
    assert other_times["devices"] == 4
    assert other_times["compilations"] == 2
