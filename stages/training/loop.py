"""The loop: batches in, trained weights out; and the evaluation of all rows."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, count, islice
from typing import NamedTuple
from weakref import WeakKeyDictionary

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from stages.core.checksums import checksum
from stages.core.errors import InputError
from stages.core.malloc import release_freed_memory
from stages.core.progress import doing
from stages.data.batching import IGNORE_INDEX, Batch, Batches
from stages.data.prefetch import prefetch
from stages.data.stream import StreamBatches
from stages.models.precision import cast, compute_dtype
from stages.training.best import Evaluation
from stages.training.devices import data_mesh, replicate, shard_batch
from stages.training.interruption import Interruption
from stages.training.optimizer import make_optimizer, make_schedule
from stages.training.plan import count_steps
from stages.training.resume import ResumeStore
from stages.training.run_state import Figures, RunState
from stages.training.step import Loss, TrainStep, batch_shapes

# For which shapes of a batch an evaluation step is compiled.
_compiled: WeakKeyDictionary[Callable, set[tuple]] = WeakKeyDictionary()

# What to train on: the rows of a file, or those of a stream.
Rows = Batches | StreamBatches


def training_batches(
    batches: Rows, steps: int, done: int = 0, position: list | None = None
) -> Iterator[Batch]:
    """The first `steps` batches of pass after pass, without the first `done` of them.

    Args:
        batches: the rows.
        steps, done: numbers of batches.
        position: what `batches.position(done)` gave; only a stream needs it.
    """
    with closing(batches.endless(done, position)) as endless:
        yield from islice(endless, steps - done)


def count_tokens(arrays: dict[str, np.ndarray]) -> int:
    """Real tokens of a host batch: those of the attention mask, else the labels that are scored."""
    if "attention_mask" in arrays:
        return int(arrays["attention_mask"].sum())
    return int((arrays["labels"] != IGNORE_INDEX).sum())


class Trained(NamedTuple):
    """The training's results, and the evaluation of the weights it ended with."""

    results: dict[str, float]
    evaluation: Evaluation | None


def fit(
    model: nnx.Module,
    loss: Loss,
    batches: Rows,
    args,
    *,
    evaluate: Callable[[], Evaluation] | None = None,
    save: Callable[[], None] | None = None,
    prepare: Callable[[Batch, int], Batch] = lambda batch, step: batch,
    resume: ResumeStore | None = None,
    judged_by: Sequence[str] = (),
) -> Trained:
    """Train `model` in place: restore, then step, log, evaluate and keep, and finish.

    With `gradient_accumulation_steps` above 1 a step takes a batch that many times as large, whose
    rows thus come from one bucket, in that many parts. The last batch of a pass has the rows that
    are left. Steps are updates wherever they are counted.

    Args:
        model: holds the trained weights afterwards, and during `evaluate` and `save`; computes
            in the dtype that `stages.models.precision.set_compute_dtype` noted on it.
        loss: sum of losses and count; see `stages.training.step`.
        batches: training rows, in batches as large as go through the model at once.
        args: the task's arguments; schedule, optimiser, folders and steps are read from it.
        evaluate: evaluates the model as it is, every `eval_steps`, or at each pass's end, of a
            stream at the end alone.
        save: called every `save_steps`.
        prepare: changes a batch, in the thread that makes them; gets the steps before it.
        resume: where the run's state is saved, and restored if it was cut off. With it a first
            Ctrl-C ends the run once its state is saved.
        judged_by: the metrics of an evaluation that are printed; all by default.

    Returns:
        Results and final evaluation. The results are `train_loss`, see `RunState.train_loss`,
        where the arguments ask for the best evaluation `best_metric` and `best_step`, and
        `train_samples` of a stream.

    Raises:
        InputError: the loss is not finite.
    """
    parts = args.gradient_accumulation_steps
    batches = batches.with_batch_size(batches.batch_size * parts)
    steps = count_steps(args, batches)
    eval_steps = args.eval_steps or batches.pass_length or steps
    schedule = make_schedule(args.lr_scheduler_type, args.learning_rate, args.warmup_steps, steps)
    learning_rate = jax.jit(schedule)
    mesh = data_mesh()
    graphdef, params = nnx.split(model)
    # On the devices as a step leaves them, and no second copy of them anywhere.
    params = replicate(params, mesh)
    nnx.update(model, params)
    train_step = TrainStep(
        graphdef, loss, make_optimizer(schedule, **args.optimizer_options), args.seed,
        dtype=compute_dtype(model), accumulation=parts,
    )  # fmt: skip
    saved = restore_latest(resume, params, batches)
    done, position = (saved["step"], saved["position"]) if saved else (0, None)
    run = RunState(args, steps, batches.loss_window, done, batches.position, judged_by)
    inputs = prefetch(
        training_batches(batches, steps, done, position),
        partial(to_device, prepare, mesh, parts, count(done)),
    )
    evaluation = None
    with run.logger, closing(inputs), Interruption(resume is not None) as interruption:
        with doing("preparing the first batch"):
            first = next(inputs)
        train_step.compile(params, first[0])
        restore(run, train_step, params, saved, mesh)
        del params, saved
        for arrays, tokens in chain([first], run.logger.timed(inputs)):
            train, *sums = train_step(run.train, arrays)
            # The step before: the device never waits for the host, and the host is never more
            # than one step ahead.
            log_step(run, learning_rate, resume)
            run.advance(train, Figures(*sums, tokens))
            last = run.step == steps
            evaluate_now = evaluate is not None and (last or run.step % eval_steps == 0)
            save_now = save is not None and not last and run.step % args.save_steps == 0
            keep_now = resume is not None and not last
            keep_now = keep_now and (resume.due() or interruption.received is not None)
            if last or evaluate_now or save_now or keep_now:
                log_step(run, learning_rate, resume)
            if save_now:
                nnx.update(model, run.train.params)
                save()
            if evaluate_now:
                evaluation = evaluate_run(run, model, train_step, evaluate)
                if not last and stop_early(run):
                    break
            if keep_now:
                keep(run, resume, interruption)
    run.logger.write_times(compilations=train_step.compilations, devices=mesh.size)
    trained = finish(run, model, evaluation, evaluate)
    if (rows := batches.rows_seen(run.step)) is not None:
        trained.results["train_samples"] = rows
    return trained


def restore_latest(resume: ResumeStore | None, params, batches: Rows) -> dict | None:
    """The latest state saved by this very run, identified by its first weights and rows as well."""
    if resume is None:
        return None
    resume.inputs["weights"] = checksum(jax.tree.leaves(params))
    return resume.restore_latest(lambda: {"rows": batches.digest()})


def restore(run: RunState, train_step: TrainStep, params, saved: dict | None, mesh: Mesh) -> None:
    """Give `run` the saved state, or without one that before the first step, on the devices."""
    if saved is None:
        run.train = train_step.init(params)
    else:
        run.load_state_dict(saved, train_step.shapes(params))
    run.train = replicate(run.train, mesh)


def to_device(prepare: Callable, mesh: Mesh, parts: int, numbers: Iterator[int], batch: Batch):
    """The arrays of a batch, after `prepare`, on the devices; and its number of tokens."""
    batch = prepare(batch, next(numbers))
    return shard_batch(batch.arrays, mesh, parts), count_tokens(batch.arrays)


def log_step(run: RunState, learning_rate: Callable, resume: ResumeStore | None) -> None:
    """Wait for the figures of the run's last step and log them, unless that is done.

    Raises:
        InputError: the loss is not finite; says where the last good state is.
    """
    if run.figures is None:
        return
    total, count = float(run.figures.total), float(run.figures.count)
    if not math.isfinite(total):
        path = None if resume is None else resume.latest_path()
        where = "" if path is None else f"; the state of step {path.name} is kept in {path}"
        raise InputError(
            f"the loss is {total} at step {run.step}; try a lower learning_rate or more "
            f"warmup_steps{where}"
        )
    run.log(total, count, float(learning_rate(run.step - 1)))


def evaluate_run(
    run: RunState, model: nnx.Module, train_step: TrainStep, evaluate: Callable[[], Evaluation]
) -> Evaluation:
    """Evaluate the run's weights in `model`; log the metrics and compare them with the best."""
    nnx.update(model, run.train.params)
    # A step's memory and an evaluation's are not both held.
    train_step.release()
    release_freed_memory()
    begin = time.perf_counter()
    with doing("evaluating"):
        evaluation = evaluate()
    run.logger.log_evaluation(run.step, evaluation.metrics, time.perf_counter() - begin)
    release_freed_memory()
    if run.best is not None:
        run.best.update(run.step, evaluation, run.train.params)
    return evaluation


def stop_early(run: RunState) -> bool:
    """Whether the patience of early stopping is used up; says so if it is."""
    reason = None if run.best is None else run.best.reason_to_stop()
    if reason is None:
        return False
    run.logger.stop(reason)
    return True


def keep(run: RunState, resume: ResumeStore, interruption: Interruption) -> None:
    """Save the run's state.

    Raises:
        SystemExit: a signal interrupted the run; with 128 + its number.
    """
    resume.save(run.state_dict)
    if interruption.received is not None:
        resume.wait()
        run.logger.print(
            f"stopped after step {run.step} of {run.logger.steps}; {resume.resume_hint()}"
        )
        raise SystemExit(128 + interruption.received)


def finish(
    run: RunState,
    model: nnx.Module,
    evaluation: Evaluation | None,
    evaluate: Callable[[], Evaluation] | None,
) -> Trained:
    """Put the last or the best weights into `model`; the results, and their evaluation."""
    nnx.update(model, run.train.params)
    results = {"train_loss": run.train_loss()}
    if run.best is not None:
        best = run.best.load_best(model)
        if best is not None:
            # Evaluated again if the run was resumed since: it depends on the weights alone.
            evaluation = best.evaluation or evaluate()
        results |= run.best.results()
    return Trained(results, evaluation)


def run_batches(
    eval_step: Callable,
    model: nnx.Module,
    batches: Batches,
    prepare: Callable[[Batch], Batch] = lambda batch: batch,
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """`eval_step` over every row: indices [rows] and outputs on the host, batch by batch.

    Outputs that have a leading row axis keep the filling rows, whose index is -1. The step, which
    is compiled for each shape of a batch, gets the parameters in the dtype that the model computes
    in.
    """
    mesh = data_mesh()
    params = replicate(cast(nnx.state(model), compute_dtype(model)), mesh)

    def place(batch: Batch):
        batch = prepare(batch)
        return batch.indices, shard_batch(batch.arrays, mesh)

    compiled = _compiled.setdefault(eval_step, set())
    with doing("evaluating") as phase:
        for number, (indices, arrays) in enumerate(prefetch(batches.evaluation(), place), 1):
            shapes, far = batch_shapes(arrays), f"{number}/{len(batches)}"
            phase.say("evaluating" if shapes in compiled else "compiling", far)
            outputs = eval_step(params, arrays)
            compiled.add(shapes)
            phase.say("evaluating", far)
            yield indices, jax.device_get(outputs)
