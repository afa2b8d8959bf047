"""The memory that a compiled training step takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support.table_model import arguments
from transformers import BertConfig

from stages import models
from stages.models import layers
from stages.training.losses import cross_entropy
from stages.training.optimizer import make_optimizer, make_schedule
from stages.training.step import TrainStep


@pytest.mark.slow
def test_weights_gradients_are_not_left_for_the_end(monkeypatch):
    config = BertConfig(
        vocab_size=100,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=8,
        num_attention_heads=4,
    )
    # Fewer tokens than layers are wide: what a layer gives for its weights then is larger than
    # what it gives to the layer below, and XLA by itself would see to that first.
    batch = {name: jnp.ones((2, 64), jnp.int32) for name in ("input_ids", "labels")}
    graphdef, params = nnx.split(models.from_config(config, "masked_lm"))
    args = arguments("o")
    optimizer = make_optimizer(make_schedule("linear", 0.1, 0, 4), **args.optimizer_options)

    def loss(model, batch, rngs):
        return cross_entropy(model(batch["input_ids"], rngs=rngs), batch["labels"])

    def gradients():
        """Temporary bytes of the compiled step, and what it gives."""
        step = TrainStep(graphdef, loss, optimizer, 0)
        step.compile(params, batch)
        (compiled,) = step._gradients.values()
        spent = jax.tree.map(jnp.zeros_like, params)
        values, *_ = compiled(params, jnp.zeros((), jnp.int32), batch, np.uint32(0), spent)
        return compiled.memory_analysis().temp_size_in_bytes, values

    memory, values = gradients()
    monkeypatch.setattr(layers, "weight_gradients_first", lambda *arguments: arguments)
    jax.clear_caches()  # layers are traced once in a process
    more, same = gradients()
    assert memory < 0.75 * more
    for ours, theirs in zip(jax.tree.leaves(values), jax.tree.leaves(same), strict=True):
        np.testing.assert_array_equal(ours, theirs)
