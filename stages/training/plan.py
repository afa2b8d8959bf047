"""What a training comes to, known before its first step; a stage of the pipeline writes it down."""

import math

from stages.core.files import write_json
from stages.data.batching import Batches


def count_steps(args, batches) -> int:
    """Steps of the whole run, one a batch: `max_steps`, or those of `num_train_epochs`.

    A stream, whose passes are of unknown length, has `max_steps`.
    """
    return args.max_steps or max(1, math.ceil(batches.pass_length * args.num_train_epochs))


def plan_training(args, batches: Batches, labels: list[str] | None = None) -> dict:
    """Refuse settings that do not fit the rows, and say what the training comes to.

    Args:
        args: the task's arguments.
        batches: of the training rows, as large as go through the model at once; of a stream those
            of its first block.
        labels: names of the classes, of a model that has some.

    Returns:
        `rows`, tokenised and not yet packed, and `rows_per_step`; `steps`, `steps_per_pass`,
        `warmup_steps` and `evaluations` of the training; `lengths` that rows are padded to;
        `labels`. Of a stream, `rows` and `steps_per_pass` are None.

    Raises:
        InputError: naming the flag, what it is, and what the training has.
    """
    stepped = batches.with_batch_size(batches.batch_size * args.gradient_accumulation_steps)
    rows, steps_per_pass = stepped.rows, stepped.pass_length
    if args.streaming:
        rows = steps_per_pass = None
    else:
        args.check_batch(rows)
    steps, why = count_steps(args, stepped), "--max_steps"
    if not args.max_steps:
        epochs = f"--num_train_epochs {args.num_train_epochs:g}"
        why = f"{rows:,} rows, {steps_per_pass:,} steps a pass, {epochs}"
    args.check_steps(steps, why)
    return {
        "rows": rows,
        "rows_per_step": stepped.batch_size,
        "steps": steps,
        "steps_per_pass": steps_per_pass,
        "warmup_steps": args.warmup_steps,
        "evaluations": -(-steps // (args.eval_steps or steps_per_pass or steps)),
        "lengths": [int(length) for length in batches.buckets],
        "labels": labels,
    }


def write_plan(path: str, plan: dict) -> None:
    """Write a plan as JSON, and print it in a line."""
    write_json(path, plan)
    rows = "a stream of rows" if plan["rows"] is None else f"{plan['rows']:,} rows"
    lengths = ", ".join(map(str, plan["lengths"]))
    parts = [
        f"{rows}, {plan['steps']:,} steps of {plan['rows_per_step']} rows",
        f"warm-up {plan['warmup_steps']}",
        f"lengths {lengths}",
    ]
    if plan["labels"]:
        parts.append(f"{len(plan['labels'])} labels")
    print(f"plan: {'; '.join(parts)}")
