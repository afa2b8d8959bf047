"""What the tests of the families that generate share: the stored checkpoints and batches."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.extend.core import jaxprs_in_params

from stages import models
from support.paths import ARRAYS

# A kind is a family, and of T5 a version.
HEADS = {
    "gpt2": "causal_lm",
    "t5": "seq2seq_lm",
    "flan_t5": "seq2seq_lm",
    "whisper": "speech_seq2seq",
}
INPUTS = (
    "input_ids",
    "input_features",
    "attention_mask",
    "decoder_input_ids",
    "decoder_attention_mask",
)


def stored(kind):
    """A stored batch, what PyTorch makes of it, and where that is of real tokens."""
    arrays = dict(np.load(ARRAYS / kind / "expected.npz"))
    inputs = {name: jnp.asarray(arrays[name]) for name in INPUTS if name in arrays}
    ids = "input_ids" if kind == "gpt2" else "decoder_input_ids"
    mask = inputs.get(ids.replace("input_ids", "attention_mask"), jnp.ones_like(inputs[ids]))
    return inputs, arrays["logits"], np.asarray(mask) == 1


def load(kind):
    return models.from_pretrained(ARRAYS / kind, HEADS[kind])


ONE_LAYER = {
    "gpt2": {"n_layer": 1},
    "t5": {"num_layers": 1, "num_decoder_layers": 1},
    "flan_t5": {"num_layers": 1, "num_decoder_layers": 1},
    "whisper": {"encoder_layers": 1, "decoder_layers": 1},
}


def tiny(kind, **changes):
    """A new model of one layer, with `changes` to the stored configuration."""
    config = models.load_config(ARRAYS / kind)
    changes = ONE_LAYER[kind] | changes
    for name, value in changes.items():
        setattr(config, name, value)
    return models.from_config(config, HEADS[kind])


def call(model, inputs):
    """The logits, compiled: quicker than one operation after the other."""
    graph, params = nnx.split(model)
    apply = jax.jit(lambda params, inputs: nnx.merge(graph, params)(**inputs))
    return np.asarray(apply(params, inputs))


def difference(ours, theirs):
    """The largest difference over the largest logit."""
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def equations(jaxpr, whole=()):
    """The operations of a traced program, inner functions included; not those inside of `whole`."""
    for equation in jaxpr.eqns:
        yield equation
        if equation.primitive.name not in whole:
            for inner in jaxprs_in_params(equation.params):
                yield from equations(inner, whole)


def computed_again(jaxpr) -> list:
    """The operations whose inside the backward pass computes anew."""
    return [one for one in equations(jaxpr, ["remat2"]) if one.primitive.name == "remat2"]
