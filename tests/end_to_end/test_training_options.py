"""Options of training: accumulation, dtype, checkpointed layers, Adafactor, fixed parameters."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from support import scripts, toy_models
from support.decoders import computed_again
from support.table_model import Table, arguments, loss, many_rows, rows, train, values_of
from transformers import BertConfig

from stages import models
from stages.models import layers
from stages.models.loading import load_model
from stages.models.parameters import FrozenParam
from stages.models.precision import set_compute_dtype
from stages.training.loop import fit, run_batches
from stages.training.losses import cross_entropy
from stages.training.optimizer import make_optimizer, make_schedule
from stages.training.step import TrainStep, make_eval_step


def update_of(values):
    """What the training added to the values that a table starts with."""
    return np.concatenate([(values[name] - first).ravel() for name, first in start().items()])


def start():
    return values_of(Table())


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
    other_values, other_curve, other_times = json.loads((four_devices / "table.json").read_text())
    np.testing.assert_allclose(other_curve, curve, rtol=1e-5)
    for name, value in values.items():
        np.testing.assert_allclose(other_values[name], value, rtol=1e-5)
    assert other_times["devices"] == 4
    assert other_times["compilations"] == 2


@pytest.mark.parametrize("parts", [1, 2])
def test_bfloat16_trains_float32_weights(parts, tmp_path):
    dtypes = set()

    def watched(model, batch, rngs):
        dtypes.add(model.table[...].dtype)
        total, count = loss(model, batch, rngs)
        assert total.dtype == count.dtype == jnp.float32
        return total, count

    found, curve, _ = train(tmp_path / "half", 4, parts, dtype="bfloat16", loss=watched)
    wanted, full_curve, _ = train(tmp_path / "full", 4, parts)
    assert dtypes == {jnp.dtype("bfloat16")}
    np.testing.assert_allclose(curve[:, 1], full_curve[:, 1], rtol=0.02)
    assert not np.array_equal(curve[:, 1], full_curve[:, 1])
    for name, value in found.items():
        assert value.dtype == np.float32
        # Not even one of them is a bfloat16 that was only stored wide.
        assert not np.array_equal(value, value.astype(jnp.bfloat16).astype(np.float32))
        np.testing.assert_allclose(value, wanted[name], atol=0.03)


def test_bfloat16_evaluates_in_bfloat16():
    model = Table()
    set_compute_dtype(model, "bfloat16")
    step = make_eval_step(model, lambda model, batch: {"it": model(batch["input_ids"])})
    for _, out in run_batches(step, model, rows()):
        assert out["it"].dtype == jnp.bfloat16
    assert all(value.dtype == np.float32 for value in values_of(model).values())


@pytest.fixture
def run_glue(files, tmp_path):
    """`run_glue(model, flags...)`: the output folder of a tiny run on the pairs."""

    def run(model, *flags):
        file, folder = files / "pairs.csv", tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        scripts.call(
            "run_flax_glue", f"--model_name_or_path={model}", f"--train_file={file}",
            f"--validation_file={file}", f"--output_dir={folder}", *scripts.TRAINING, *flags,
        )  # fmt: skip
        return folder

    return run


def test_a_script_computes_in_its_dtype(run_glue, trained):
    """In the evaluation of a finished model; a training reads the same note on its model."""
    full = scripts.results(trained("glue"))["eval_loss"]
    half = scripts.results(run_glue(trained("glue"), "--do_eval", "--dtype=bfloat16"))["eval_loss"]
    assert half != full
    assert half == pytest.approx(full, rel=0.02)


def test_a_script_checkpoints_its_layers(run_glue, trained, checkpoint):
    """The same losses, with dropout; and the flag does reach the model."""
    folder = run_glue(checkpoint(), "--do_train", "--gradient_checkpointing")
    curves = [
        np.loadtxt(it / "runs/train.csv", delimiter=",", skiprows=1)
        for it in (folder, trained("glue"))
    ]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)
    for wanted in (True, False):
        args = arguments("o", gradient_checkpointing=wanted)
        args.model_name_or_path = checkpoint()
        model = load_model(args, "masked_lm")
        jaxpr = jax.make_jaxpr(lambda model: model(jnp.ones((1, 4), jnp.int32)))(model).jaxpr
        # Gelus are computed again either way; a layer has matrix products too.
        assert any("dot_general" in str(part) for part in computed_again(jaxpr)) is wanted


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
    found, _ = few_steps(make_optimizer(args, make_schedule("constant", 0.1, 0, 4)), count=1)
    batch = next(rows(5).evaluation()).arrays

    def mean(values):
        logits = values["table"][batch["input_ids"]] + values["bias"]
        total, count = cross_entropy(logits, batch["labels"])
        return total / count

    for name, gradient in jax.grad(mean)(start()).items():
        before = start()[name]
        size = np.sqrt((before**2).mean())
        np.testing.assert_allclose(found[name], before - 0.1 * size * np.sign(gradient), rtol=1e-5)


def test_adafactor_is_clipped_only_where_that_is_asked_for():
    schedule = make_schedule("linear", 0.1, 0, 4)
    plain = optax.adafactor(schedule)
    norms = {None: plain, 0.02: optax.chain(optax.clip_by_global_norm(0.02), plain)}
    found = {}
    for norm, optimizer in norms.items():
        args = arguments("unused", adafactor=True, max_grad_norm=norm)
        found[norm], _ = few_steps(make_optimizer(args, schedule))
        wanted, _ = few_steps(optimizer)
        for name, value in wanted.items():
            # Ours clips by one factor, which rounds once; without clipping nothing may differ.
            np.testing.assert_allclose(found[norm][name], value, rtol=1e-6 if norm else 0)
    assert not np.array_equal(found[None]["bias"], found[0.02]["bias"])


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
    optimizer = make_optimizer(args, make_schedule("constant", 0.1, 0, 4))
    found, state = few_steps(optimizer, model=Raised())
    assert found.pop("floor").tolist() == [[2.0] * 3] * 5
    # The floor is even, so that the table learns as without it, with the norm of its own alone.
    wanted, bare = few_steps(optimizer)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-7)
    sizes = [[leaf.size for leaf in jax.tree.leaves(it.opt_state)] for it in (state, bare)]
    assert sizes[0] == sizes[1]


def test_a_training_takes_its_schedule(tmp_path):
    _, curve, _ = train(tmp_path, 8, 1, lr_scheduler_type="cosine", warmup_steps=2)
    wanted = [0, 0.5, 1, (1 + np.sqrt(0.5)) / 2, 0.5, (1 - np.sqrt(0.5)) / 2]
    np.testing.assert_allclose(curve[:, 2], 0.05 * np.array(wanted), 1e-5)


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
    optimizer = make_optimizer(args, make_schedule("linear", 0.1, 0, 4))

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
