"""Adafactor and Muon, parameters that stay fixed, and the schedule that a training takes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from support.table_model import Table, arguments, loss, rows, train, values_of

from stages.models.parameters import FrozenParam
from stages.training.losses import cross_entropy
from stages.training.optimizer import make_optimizer, make_schedule
from stages.training.step import TrainStep


def few_steps(optimizer, count=3, model=None):
    """Some steps with `optimizer` on one batch, and the state after them."""
    graphdef, params = nnx.split(model or Table())
    step = TrainStep(graphdef, loss, optimizer, 0)
    state = step.init(params)
    batch = next(rows(5).evaluation()).arrays
    for _ in range(count):
        state, _, _ = step(state, batch)
    return {name: np.asarray(it) for name, it in nnx.to_pure_dict(state.params).items()}, state


def test_the_first_step_of_adafactor_by_hand():
    """Each element moves by the rate times its parameter's root mean square, down its gradient."""
    args = arguments("unused", adafactor=True, learning_rate=0.1)
    found, _ = few_steps(
        make_optimizer(make_schedule("constant", 0.1, 0, 4), **args.optimizer_options), count=1
    )
    batch = next(rows(5).evaluation()).arrays

    def mean(values):
        logits = values["table"][batch["input_ids"]] + values["bias"]
        total, count = cross_entropy(logits, batch["labels"])
        return total / count

    for name, gradient in jax.grad(mean)(values_of(Table())).items():
        before = values_of(Table())[name]
        size = np.sqrt((before**2).mean())
        np.testing.assert_allclose(found[name], before - 0.1 * size * np.sign(gradient), rtol=1e-5)


def test_adafactor_is_clipped_only_where_that_is_asked_for():
    schedule = make_schedule("linear", 0.1, 0, 4)
    plain = optax.adafactor(schedule)
    norms = {None: plain, 0.02: optax.chain(optax.clip_by_global_norm(0.02), plain)}
    found = {}
    for norm, optimizer in norms.items():
        args = arguments("unused", adafactor=True, max_grad_norm=norm)
        found[norm], _ = few_steps(make_optimizer(schedule, **args.optimizer_options))
        wanted, _ = few_steps(optimizer)
        for name, value in wanted.items():
            # Ours clips by one factor, which rounds once; without clipping nothing may differ.
            np.testing.assert_allclose(found[norm][name], value, rtol=1e-6 if norm else 0)
    assert not np.array_equal(found[None]["bias"], found[0.02]["bias"])


def test_muon_makes_a_matrix_orthogonal_and_leaves_the_rest_to_adamw():
    """One step: singular values near one for a matrix in a layer; elsewhere AdamW's very step."""
    rng = np.random.default_rng(0)
    shapes = {"layers": {"0": {"kernel": (6, 9), "bias": (9,)}}, "head": {"kernel": (6, 2)},
              "words": {"embedding": (5, 6)}}  # fmt: skip
    params, gradients = (
        jax.tree.map(
            lambda shape: jnp.array(rng.normal(size=shape), jnp.float32),
            shapes,
            is_leaf=lambda it: isinstance(it, tuple),
        )
        for _ in range(2)
    )
    schedule, updates = make_schedule("constant", 0.1, 0, 4), []
    for muon in (True, False):
        args = arguments("unused", muon=muon, max_grad_norm=0)
        optimizer = make_optimizer(schedule, **args.optimizer_options)
        updates.append(optimizer.update(gradients, optimizer.init(params), params)[0])
    found, wanted = updates
    kernel = found["layers"]["0"].pop("kernel")
    sizes = np.linalg.svd(kernel, compute_uv=False) / (0.1 * 0.2 * np.sqrt(9))
    assert np.all((sizes > 0.6) & (sizes < 1.3))
    # It points down the gradient.
    assert np.sum(kernel * gradients["layers"]["0"]["kernel"]) < 0
    del wanted["layers"]["0"]["kernel"]
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.parametrize("adafactor", [False, True])
def test_fixed_parameters_stay(adafactor):
    class Raised(Table):
        """A table on a floor that does not move, though the loss has a gradient for it."""

        def __init__(self):
            super().__init__()
            self.floor = FrozenParam(jnp.full((5, 3), 2.0))

        def __call__(self, ids, rngs=None):
            return super().__call__(ids, rngs) + self.floor[...][ids] ** 2

    decay = {} if adafactor else {"weight_decay": 0.1}
    args = arguments("unused", adafactor=adafactor, max_grad_norm=0.02, **decay)
    optimizer = make_optimizer(make_schedule("constant", 0.1, 0, 4), **args.optimizer_options)
    found, state = few_steps(optimizer, model=Raised())
    assert found.pop("floor").tolist() == [[2.0] * 3] * 5
    # The floor is even, so that the table learns as without it, with only its own norm.
    wanted, bare = few_steps(optimizer)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-7)
    sizes = [[leaf.size for leaf in jax.tree.leaves(it.opt_state)] for it in (state, bare)]
    assert sizes[0] == sizes[1]


def test_a_training_takes_its_schedule(tmp_path):
    _, curve, _ = train(tmp_path, 8, 1, lr_scheduler_type="cosine", warmup_steps=2)
    wanted = [0, 0.5, 1, (1 + np.sqrt(0.5)) / 2, 0.5, (1 - np.sqrt(0.5)) / 2]
    np.testing.assert_allclose(curve[:, 2], 0.05 * np.array(wanted), 1e-5)
