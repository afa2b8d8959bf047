"""The training core on a model of one table: losses, schedule, step, loop."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.experimental.compilation_cache import compilation_cache
from support.table_model import Table, arguments, loss, rows

from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX
from stages.training.best import Evaluation
from stages.training.devices import data_mesh, replicate, use_cublas
from stages.training.loop import count_steps, count_tokens, fit, run_batches, training_batches
from stages.training.losses import cross_entropy, squared_error
from stages.training.optimization_arguments import LR_SCHEDULES
from stages.training.optimizer import decay_mask, make_optimizer, make_schedule
from stages.training.step import TrainStep, make_eval_step


def test_cross_entropy_by_hand():
    logits = jnp.log(jnp.array([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], [[0.2, 0.2, 0.6]] * 2]))
    total, count = cross_entropy(logits, jnp.array([[0, 2], [1, IGNORE_INDEX]]))
    assert total == pytest.approx(-np.log(0.5) - np.log(0.8) - np.log(0.2), rel=1e-6)
    assert count == 3
    total, count = cross_entropy(logits, jnp.full((2, 2), IGNORE_INDEX))
    assert (total, count) == (0, 0)


def test_label_smoothing_by_hand():
    odds = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]])
    logits, labels = jnp.log(jnp.array(odds)) + 3.0, jnp.array([0, 2])
    # The label has 0.8, each of the others 0.1; their own entropy is what a perfect guess costs.
    entropy = -0.8 * np.log(0.8) - 0.2 * np.log(0.1)
    costs = [
        -0.8 * np.log(0.7) - 0.1 * np.log(0.2) - 0.1 * np.log(0.1) - entropy,
        -0.8 * np.log(0.5) - 0.2 * np.log(0.25) - entropy,
    ]
    total, count = cross_entropy(logits, labels, 0.2)
    assert (float(total), count) == (pytest.approx(sum(costs), rel=1e-5), 2)
    total, count = cross_entropy(logits, jnp.array([0, IGNORE_INDEX]), 0.2)
    assert (float(total), count) == (pytest.approx(costs[0], rel=1e-5), 1)
    perfect = jnp.log(jnp.array([[0.1, 0.8, 0.1]]))
    assert float(cross_entropy(perfect, jnp.array([1]), 0.2)[0]) == pytest.approx(0, abs=1e-6)
    assert cross_entropy(logits, labels, 0.0)[0] == cross_entropy(logits, labels)[0]


def test_squared_error_by_hand():
    total, count = squared_error(
        jnp.array([1.0, 2.0, 9.0]), jnp.array([0.5, 4.0, 0.0]), jnp.array([1.0, 1.0, 0.0])
    )
    assert (total, count) == (4.25, 2)


def test_decay_falls_on_matrices_alone():
    mask = decay_mask(nnx.state(Table()))
    assert nnx.to_pure_dict(mask) == {"table": True, "bias": False}


ROOT = np.sqrt(0.5)


SCHEDULES = [
    ("linear", 2, {0: 0, 1: 0.5, 2: 1, 4: 0.75, 6: 0.5, 10: 0}),
    ("linear", 0, {0: 1, 1: 0.9, 5: 0.5, 9: 0.1, 10: 0}),
    ("linear", 20, {0: 0, 1: 0.05, 10: 0.5}),
    ("cosine", 2, {0: 0, 1: 0.5, 2: 1, 4: (1 + ROOT) / 2, 6: 0.5, 8: (1 - ROOT) / 2, 10: 0}),
    ("cosine", 0, {0: 1, 5: 0.5, 10: 0}),
    ("polynomial", 2, {0: 0, 1: 0.5, 2: 1, 6: 0.5 + 0.25e-7, 10: 0.5e-7}),
    ("inverse_sqrt", 2, {0: 0, 1: 0.5, 2: 1, 4: ROOT, 8: 0.5}),
    ("inverse_sqrt", 0, {0: 1, 10_000: ROOT, 30_000: 0.5}),
    ("constant", 0, {0: 1, 5: 1, 10: 1}),
    ("constant_with_warmup", 2, {0: 0, 1: 0.5, 2: 1, 10: 1}),
]


@pytest.mark.parametrize(("kind", "warmup", "expected"), SCHEDULES)
def test_schedules(kind, warmup, expected):
    schedule = make_schedule(kind, 2.0, warmup, 10)
    for found in (schedule, jax.jit(schedule)):
        rates = [float(found(step)) for step in expected]
        np.testing.assert_allclose(rates, 2 * np.array(list(expected.values())), 1e-5, 1e-9)


def test_every_schedule_is_worked_out():
    assert {kind for kind, _, _ in SCHEDULES} == set(LR_SCHEDULES)


def run_steps(count, seed=0, rate=0.0, **values):
    """The states and sums of some steps on one batch."""
    args = arguments("unused", **values)
    schedule = make_schedule("linear", args.learning_rate, args.warmup_steps, 4)
    optimizer = make_optimizer(schedule, **args.optimizer_options)
    graphdef, params = nnx.split(Table(rate))
    step = TrainStep(graphdef, loss, optimizer, seed)
    state = step.init(params)
    batch = next(rows(5).evaluation()).arrays
    sums = []
    for _ in range(count):
        state, total, counted = step(state, batch)
        sums.append((float(total), float(counted)))
    return nnx.to_pure_dict(state.params), sums


def test_a_step_by_hand():
    options = {"learning_rate": 0.1, "weight_decay": 0.5, "adam_beta2": 0.9, "adam_epsilon": 1e-3}
    found, sums = run_steps(1, **options)
    model = Table()
    before = {"table": np.asarray(model.table[...]), "bias": np.asarray(model.bias[...])}
    batch = next(rows(5).evaluation()).arrays
    scored = batch["labels"] != IGNORE_INDEX
    ids, labels = batch["input_ids"][scored], batch["labels"][scored]
    logits = before["table"][ids] + before["bias"]
    odds = np.exp(logits - logits.max(1, keepdims=True))
    odds /= odds.sum(1, keepdims=True)
    total = -np.log(odds[np.arange(len(ids)), labels]).sum()
    assert sums == [(pytest.approx(total, rel=1e-6), 15)]
    odds[np.arange(len(ids)), labels] -= 1
    gradients = {"table": np.zeros((5, 3)), "bias": odds.sum(0) / len(ids)}
    np.add.at(gradients["table"], ids, odds / len(ids))
    norm = np.sqrt(sum((value**2).sum() for value in gradients.values()))
    for name, decay in (("table", 0.5), ("bias", 0.0)):
        gradient = gradients[name] / max(norm, 1.0)
        # In the first step both of Adam's means, corrected, are the gradient's own.
        update = gradient / (np.abs(gradient) + 1e-3) + decay * before[name]
        np.testing.assert_allclose(found[name], before[name] - 0.1 * update, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("clip", [0.0, 1e-3])
def test_steps_are_those_of_optax(clip):
    found, _ = run_steps(3, learning_rate=0.1, weight_decay=0.1, max_grad_norm=clip, warmup_steps=1)
    params = nnx.to_pure_dict(nnx.state(Table()))
    schedule = make_schedule("linear", 0.1, 1, 4)
    adamw = optax.adamw(schedule, weight_decay=0.1, mask={"table": True, "bias": False})
    optimizer = optax.chain(optax.clip_by_global_norm(clip), adamw) if clip else adamw
    state = optimizer.init(params)
    batch = next(rows(5).evaluation()).arrays

    def mean(params):
        logits = params["table"][batch["input_ids"]] + params["bias"]
        total, count = cross_entropy(logits, batch["labels"])
        return total / count

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(jax.grad(mean)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(3):
        params, state = step(params, state)
    for name, value in params.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-7)
    assert not np.array_equal(found["bias"], np.array([0.1, -0.2, 0.3], np.float32))


def test_dropout_is_drawn_from_seed_and_step():
    # A rate of learning too small to change a loss, so that only the masks differ.
    _, one = run_steps(2, seed=1, rate=0.5, learning_rate=1e-12)
    _, again = run_steps(2, seed=1, rate=0.5, learning_rate=1e-12)
    _, other = run_steps(2, seed=2, rate=0.5, learning_rate=1e-12)
    _, none = run_steps(2, seed=1, rate=0.0, learning_rate=1e-12)
    assert one == again
    assert one[0] != one[1]
    assert one[0] != other[0]
    assert none[0] == pytest.approx(none[1])


def test_the_state_given_is_donated():
    args = arguments("unused")
    optimizer = make_optimizer(make_schedule("linear", 0.1, 0, 4), **args.optimizer_options)
    graphdef, params = nnx.split(Table())
    step = TrainStep(graphdef, loss, optimizer, 0)
    state = replicate(step.init(params), data_mesh())
    after, _, _ = step(state, next(rows(5).evaluation()).arrays)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(after))
    assert int(after.step) == 1


def test_number_of_steps(tmp_path):
    batches = rows()
    assert len(batches) == 3
    assert count_steps(arguments(tmp_path), batches) == 9
    assert count_steps(arguments(tmp_path, num_train_epochs=0.5), batches) == 2
    assert count_steps(arguments(tmp_path, num_train_epochs=0.01), batches) == 1
    assert count_steps(arguments(tmp_path, max_steps=7), batches) == 7
    found = [batch.indices.tolist() for batch in training_batches(batches, 7)]
    epochs = [[batch.indices.tolist() for batch in batches.training(epoch)] for epoch in range(3)]
    assert found == [*epochs[0], *epochs[1], epochs[2][0]]


def test_the_loop(tmp_path, capsys):
    model = Table()
    seen, saved = [], []

    def evaluate():
        seen.append(np.asarray(model.bias[...]))
        return Evaluation({"eval_it": float(len(seen))}, len(seen))

    args = arguments(
        tmp_path, max_steps=7, eval_steps=3, save_steps=2, logging_steps=2, learning_rate=0.1,
        plots_dir=str(tmp_path / "plots"), run_dir=str(tmp_path / "times"),
    )  # fmt: skip
    batches = rows(seed=1)
    before = np.asarray(model.bias[...])
    steps_asked = []

    def prepare(batch, step):
        steps_asked.append(step)
        return batch

    found = fit(
        model, loss, batches, args, evaluate=evaluate,
        save=lambda: saved.append(np.asarray(model.bias[...])), prepare=prepare,
    )  # fmt: skip
    assert steps_asked == list(range(7))
    assert found.evaluation == ({"eval_it": 3.0}, 3)
    # At steps 3, 6 and the last; saved at 2, 4 and 6; each with the weights of that moment.
    assert len(seen) == len(saved) == 3
    assert not np.array_equal(seen[0], before)
    assert np.array_equal(seen[1], saved[2])
    assert np.array_equal(seen[2], np.asarray(model.bias[...]))
    assert not np.array_equal(seen[1], seen[2])
    lines = (tmp_path / "plots/train.csv").read_text().splitlines()
    assert lines[0] == "step,loss,learning_rate"
    assert [line.split(",")[0] for line in lines[1:]] == ["2", "4", "6", "7"]
    rates = [float(line.split(",")[2]) for line in lines[1:]]
    np.testing.assert_allclose(rates, [0.1 * left / 7 for left in (6, 4, 2, 1)], rtol=1e-5)
    curve = (tmp_path / "plots/validation.csv").read_text()
    assert curve == "step,eval_it\n3,1.0\n6,2.0\n7,3.0\n"
    times = json.loads((tmp_path / "times/times.json").read_text())
    assert times["steps"] == 7
    assert times["compilations"] == len(batches.buckets) == 2
    tokens = sum(int(b.arrays["attention_mask"].sum()) for b in training_batches(batches, 7))
    assert times["tokens"] == tokens
    assert list(tmp_path.glob("times/events.out.tfevents.*"))
    out = capsys.readouterr().out
    assert "step 7/7  loss " in out
    assert "tokens/s" in out
    assert "step 3: eval_it 1" in out

    # The reported loss is the mean over everything scored in the last pass.
    again = Table()
    args = arguments(tmp_path / "again", max_steps=7, logging_steps=1, learning_rate=0.1)
    assert fit(again, loss, batches, args) == (found.results, None)
    curve = np.loadtxt(tmp_path / "again/runs/train.csv", delimiter=",", skiprows=1)
    counts = [int((b.arrays["labels"] != IGNORE_INDEX).sum()) for b in training_batches(batches, 7)]
    mean = (curve[-3:, 1] * counts[-3:]).sum() / sum(counts[-3:])
    assert found.results == {"train_loss": pytest.approx(mean, rel=1e-6)}
    assert nnx.to_pure_dict(nnx.state(again))["bias"].tolist() == model.bias[...].tolist()


def test_tokens_are_those_of_the_mask_or_the_scored_ones():
    batch = next(rows(5).evaluation()).arrays
    assert count_tokens(batch) == 17
    del batch["attention_mask"]
    assert count_tokens(batch) == 15


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    def bad(model, batch, rngs):
        total, count = loss(model, batch, rngs)
        return total / 0, count

    with pytest.raises(InputError, match="the loss is inf at step 1; try a lower learning_rate"):
        fit(Table(), bad, rows(), arguments(tmp_path))


def test_run_batches_gives_every_row(tmp_path):
    step = make_eval_step(Table(), lambda model, batch: {"it": model(batch["input_ids"])})
    found = {}
    for indices, out in run_batches(step, Table(), rows()):
        assert isinstance(out["it"], np.ndarray)
        found |= dict(zip(indices.tolist(), out["it"], strict=True))
    assert sorted(found) == [-1, 0, 1, 2, 3, 4]
    np.testing.assert_allclose(
        found[2][0], np.asarray(Table().table[...][2] + Table().bias[...]), rtol=1e-6
    )


def test_another_seed_finds_its_programs_compiled(tmp_path):
    """Compiled programs are kept on disk by their text, which no seed is part of."""
    kept = jax.config.jax_compilation_cache_dir
    counts, losses = [], []
    try:
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
        compilation_cache.reset_cache()
        for seed in (1, 2):
            jax.clear_caches()
            losses.append(run_steps(1, seed=seed, rate=0.5)[1])
            counts.append(len(list(tmp_path.glob("*-cache"))))
    finally:
        jax.config.update("jax_compilation_cache_dir", kept)
        compilation_cache.reset_cache()
    assert losses[0] != losses[1]
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "--xla_gpu_enable_triton_gemm=false"),
        ("--xla_dump_to=x", "--xla_dump_to=x --xla_gpu_enable_triton_gemm=false"),
        ("--xla_gpu_enable_triton_gemm=true", "--xla_gpu_enable_triton_gemm=true"),
    ],
)
def test_products_are_cublas_s_unless_the_user_says_otherwise(monkeypatch, before, after):
    monkeypatch.delenv("XLA_FLAGS")
    if before is not None:
        monkeypatch.setenv("XLA_FLAGS", before)
    use_cublas()
    assert os.environ["XLA_FLAGS"] == after
    use_cublas()
    assert os.environ["XLA_FLAGS"] == after
