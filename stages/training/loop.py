"""The loop: batches in, trained weights out; and the evaluation of all rows."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx

from stages.core.checksums import checksum
from stages.core.errors import InputError
from stages.core.malloc import give_back_freed_memory
from stages.data.batching import IGNORE, Batch, Batches
from stages.data.prefetch import ahead
from stages.models.precision import cast, compute_dtype
from stages.training.best import Evaluation, Selection
from stages.training.checkpoints import Checkpoints
from stages.training.devices import batch_to, data_mesh, replicate
from stages.training.interruption import Interruption
from stages.training.logger import Recorder
from stages.training.optimizer import make_optimizer, make_schedule
from stages.training.resume import save_progress, take_up
from stages.training.step import Loss, TrainStep


def count_steps(args, batches: Batches) -> int:
    """Steps of the whole run: `max_steps`, or those of `num_train_epochs`; one takes a batch."""
    return args.max_steps or max(1, math.ceil(len(batches) * args.num_train_epochs))


def training_batches(batches: Batches, steps: int, done: int = 0) -> Iterator[Batch]:
    """The first `steps` batches of pass after pass, without the first `done` of them."""
    epoch, skip = divmod(done, len(batches))
    while done < steps:
        for batch in batches.training(epoch, skip):
            if done == steps:
                return
            yield batch
            done += 1
        epoch, skip = epoch + 1, 0


def count_tokens(arrays: dict[str, np.ndarray]) -> int:
    """Real tokens of a host batch: those of the attention mask, else the labels that are scored."""
    if "attention_mask" in arrays:
        return int(arrays["attention_mask"].sum())
    return int((arrays["labels"] != IGNORE).sum())


class Trained(NamedTuple):
    """What a training tells: its own figures, and the evaluation of the weights it ended with."""

    results: dict[str, float]
    evaluation: Evaluation | None


def fit(
    model: nnx.Module,
    loss: Loss,
    batches: Batches,
    args,
    *,
    evaluate: Callable[[], Evaluation] | None = None,
    save: Callable[[], None] | None = None,
    prepare: Callable[[Batch, int], Batch] = lambda batch, step: batch,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train `model` in place.

    With `gradient_accumulation_steps` above 1 a step takes the rows of a batch so many times as
    large, which thus come from one bucket, and passes them through the model in that many parts.
    The last batch of a pass has the rows that are left, and its update is of those. Steps are
    updates wherever they are counted.

    Args:
        model: holds the trained weights afterwards, and during `evaluate` and `save`; computes
            in the dtype that `stages.models.precision.compute_in` noted on it.
        loss: sum of losses and what it is summed over; see `stages.training.step`.
        batches: training rows, in batches as large as go through the model at once.
        args: the task's arguments; schedule, optimiser, folders and steps are read from it.
        evaluate: evaluates the model as it stands, every `eval_steps` or at each pass's end.
        save: called every `save_steps`.
        prepare: last touch to a batch, in the thread that makes them; gets the step's number.
        checkpoints: where the run's state is kept, and found again if it was cut off. With them
            a first Ctrl-C ends the run after a last checkpoint.

    Returns:
        The results: `train_loss`, the mean over everything scored in the last pass (or the whole
        run, if shorter), and `best_metric` and `best_step` where the arguments ask for the best
        evaluation. With them the evaluation of the weights that `model` now holds.
    """
    parts = args.gradient_accumulation_steps
    batches = batches.enlarged(parts)
    mesh = data_mesh()
    steps = count_steps(args, batches)
    eval_steps = args.eval_steps or len(batches)
    schedule = make_schedule(args.lr_scheduler_type, args.learning_rate, args.warmup_steps, steps)
    optimizer = make_optimizer(args, schedule)
    selection = Selection.of(args)
    graphdef, params = nnx.split(model)
    # Placed as a step leaves them, and no second copy of them anywhere.
    params = replicate(params, mesh)
    nnx.update(model, params)
    saved = None
    if checkpoints is not None:
        checkpoints.inputs["weights"] = checksum(jax.tree.leaves(params))
        saved = checkpoints.begin(lambda: {"rows": batches.digest()})
    done = saved.step if saved else 0
    train_step = TrainStep(
        graphdef, loss, optimizer, args.seed, dtype=compute_dtype(model), accumulation=parts
    )
    put = batch_to(mesh, parts)
    rate = jax.jit(schedule)

    def report(step, total, count, tokens) -> tuple[float, float]:
        total, count = float(total), float(count)
        if not math.isfinite(total):
            kept = "" if checkpoints is None else checkpoints.kept()
            raise InputError(
                f"the loss is {total} at step {step}; try a lower learning_rate or more "
                f"warmup_steps{kept}"
            )
        recorder.train_step(step, total, count, tokens, float(rate(step - 1)))
        return total, count

    def place(item: tuple[int, Batch]):
        batch = prepare(item[1], item[0])
        return put(batch.arrays), count_tokens(batch.arrays)

    run_dir = args.run_dir or f"{args.output_dir}/runs"
    recorder = Recorder(steps, args.logging_steps, args.plots_dir or run_dir, run_dir, done)
    recent: deque[tuple[float, float]] = deque(maxlen=len(batches))  # of the last pass
    placed = ahead(enumerate(training_batches(batches, steps, done), start=done), place)
    evaluation = None
    with recorder, closing(placed), Interruption(checkpoints is not None) as interruption:
        first = next(placed)
        train_step.compile(params, first[0])
        if saved is None:
            state = train_step.init(params)
        else:
            state = take_up(saved, train_step.shapes(params), recorder, recent, selection)
            saved = None
        state = replicate(state, mesh)
        del params
        # The figures of a step are fetched while the next one runs: the device never waits for
        # the host, and the host is never more than one step ahead.
        running = None
        for step, (arrays, tokens) in enumerate(chain([first], placed), start=done + 1):
            state, total, count = train_step(state, arrays)
            if running is not None:
                recent.append(report(*running))
            running = (step, total, count, tokens)
            last = step == steps
            evaluate_now = evaluate is not None and (step % eval_steps == 0 or last)
            save_now = save is not None and step % args.save_steps == 0 and not last
            keep_now = checkpoints is not None and not last
            keep_now = keep_now and (checkpoints.due() or interruption.received is not None)
            if evaluate_now or save_now or keep_now:
                recent.append(report(*running))
                running = None
            if evaluate_now or save_now:
                nnx.update(model, state.params)
            if save_now:
                save()
            if evaluate_now:
                # A step's memory and an evaluation's are not held both.
                train_step.release()
                give_back_freed_memory()
                begin = time.perf_counter()
                evaluation = evaluate()
                recorder.evaluation(step, evaluation.metrics, time.perf_counter() - begin)
                give_back_freed_memory()
                if selection is not None:
                    selection.see(step, evaluation, state.params)
                    reason = selection.reason_to_stop()
                    if reason is not None and not last:
                        recorder.stop(reason)
                        break
            if keep_now:
                save_progress(checkpoints, step, state, recorder, recent, selection)
                if interruption.received is not None:
                    checkpoints.finish()
                    recorder.say(f"stopped after step {step} of {steps}; {checkpoints.outlook()}")
                    raise SystemExit(128 + interruption.received)
        if running is not None:
            recent.append(report(*running))
    nnx.update(model, state.params)
    recorder.write_times(compilations=train_step.compilations, devices=mesh.size)
    totals = np.array(recent, np.float64)
    results = {"train_loss": float(totals[:, 0].sum() / max(totals[:, 1].sum(), 1.0))}
    if selection is not None:
        best = selection.restore(model)
        if best is not None:
            # Where the run was cut off since, it is made again: it depends on the weights alone.
            evaluation = best.evaluation or evaluate()
        results |= selection.results()
    return Trained(results, evaluation)


def run_batches(
    eval_step: Callable,
    model: nnx.Module,
    batches: Batches,
    prepare: Callable[[Batch], Batch] = lambda batch: batch,
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """`eval_step` over every row: indices [rows] and outputs on the host, batch by batch.

    Outputs that have a leading row axis keep the filling rows, whose index is -1. The step gets
    the parameters in the dtype that the model computes in.
    """
    mesh = data_mesh()
    params = replicate(cast(nnx.state(model), compute_dtype(model)), mesh)
    put = batch_to(mesh)

    def place(batch: Batch):
        batch = prepare(batch)
        return batch.indices, put(batch.arrays)

    for indices, arrays in ahead(batches.evaluation(), place):
        yield indices, jax.device_get(eval_step(params, arrays))
