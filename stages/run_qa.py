"""Extractive question answering: the span of a text that answers a question, or none.

    python -m stages.run_qa --model_name_or_path FOLDER --train_file a.json \\
        --validation_file b.json --version_2_with_negative --do_train --do_eval --output_dir out
"""

from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from stages.core.arguments import parse
from stages.core.errors import command
from stages.data.batching import IGNORE_INDEX, Batches
from stages.models.loading import (
    check_vocabulary,
    load_model,
    load_tokenizer,
    row_length,
    save_model,
)
from stages.tasks.qa.answers import Answers, find_answers, write_answers
from stages.tasks.qa.arguments import QaArguments
from stages.tasks.qa.examples import Examples, read_examples
from stages.tasks.qa.metric import Squad, SquadV2
from stages.tasks.qa.windows import Windows, tokenize
from stages.training.best import Evaluation
from stages.training.loop import run_batches
from stages.training.losses import cross_entropy
from stages.training.results import push_to_hub, write_results
from stages.training.session import inputs, make_batches, start, train_model
from stages.training.step import make_eval_step


def span_logits(model, batch, rngs=None):
    """Start and end logits, each [rows, tokens]; padding can be neither."""
    logits = model(
        batch["input_ids"],
        attention_mask=batch["attention_mask"],
        token_type_ids=batch.get("token_type_ids"),
        rngs=rngs,
    )
    return [jnp.where(batch["attention_mask"] == 1, scores, -1e9) for scores in logits]


def loss(model, batch, rngs=None):
    """Mean negative log likelihood of the right start and end, summed over rows; their number."""
    sums = [
        cross_entropy(scores, batch[name])
        for scores, name in zip(
            span_logits(model, batch, rngs), ("start_positions", "end_positions"), strict=True
        )
    ]
    return (sums[0][0] + sums[1][0]) / 2, sums[0][1]


def score(model, batch):
    """Start and end logits, each [rows, tokens]."""
    start_logits, end_logits = span_logits(model, batch)
    return {"start": start_logits, "end": end_logits}


def batches_of(windows: Windows, tokenizer, args, per_device: int, length: int) -> Batches:
    """Batches of windows."""
    return make_batches(
        args,
        windows.columns,
        per_device,
        padding={
            "input_ids": tokenizer.pad_token_id,
            "start_positions": IGNORE_INDEX,
            "end_positions": IGNORE_INDEX,
        },
        max_length=length,
    )


def answer(eval_step, model, examples: Examples, windows: Windows, batches, args) -> Answers:
    """The answer to each question, out of all its windows."""
    start_logits: list[np.ndarray] = [np.zeros(0)] * len(windows)
    end_logits = list(start_logits)
    for indices, out in run_batches(eval_step, model, batches):
        for index, begins, ends in zip(indices, out["start"], out["end"], strict=True):
            if index >= 0:
                start_logits[index], end_logits[index] = begins, ends
    return find_answers(
        examples,
        windows,
        start_logits,
        end_logits,
        version_2_with_negative=args.version_2_with_negative,
        n_best_size=args.n_best_size,
        max_answer_length=args.max_answer_length,
        null_score_diff_threshold=args.null_score_diff_threshold,
    )


def evaluate(answers: Answers, examples: Examples, args) -> dict[str, float]:
    """Exact match and F1 under their names in the results."""
    if args.version_2_with_negative:
        metrics = SquadV2().compute(
            predictions=answers.predictions(),
            references=examples.references(),
            no_answer_threshold=args.null_score_diff_threshold,
        )
    else:
        metrics = Squad().compute(
            predictions=answers.predictions(), references=examples.references()
        )
    return {f"eval_{name}": value for name, value in metrics.items()}


@command
def main() -> None:
    """Train, evaluate, predict: as the flags say."""
    args = parse(QaArguments, __doc__)
    start(args)

    # Data
    found = inputs(args)

    def read(path: str, limit: int | None, needs_answers: bool = True) -> Examples:
        return read_examples(
            path,
            version_2_with_negative=args.version_2_with_negative,
            needs_answers=needs_answers,
        ).first(limit)

    train = read(*found["train"]) if "train" in found else None
    validation = read(*found["validation"]) if "validation" in found else None
    test = read(*found["test"], needs_answers=False) if "test" in found else None

    # Tokenizer and model
    tokenizer = load_tokenizer(args)
    model = load_model(args, "question_answering")
    check_vocabulary(tokenizer, model.config)
    length = row_length(args, model.config, tokenizer)
    eval_step = make_eval_step(model, score)

    def windows_of(examples: Examples, labels: bool = False) -> Windows:
        return tokenize(
            tokenizer,
            examples,
            max_seq_length=length,
            doc_stride=args.doc_stride,
            labels=labels,
        )

    def answers_to(examples: Examples, windows: Windows) -> Answers:
        per_device = args.per_device_eval_batch_size
        batches = batches_of(windows, tokenizer, args, per_device, length)
        return answer(eval_step, model, examples, windows, batches, args)

    evaluation = None
    if validation is not None:
        validation_windows = windows_of(validation)

        def evaluation() -> Evaluation:
            answers = answers_to(validation, validation_windows)
            metrics = evaluate(answers, validation, args)
            return Evaluation({**metrics, "eval_samples": len(validation)}, answers)

    # Training
    measured = None
    if args.do_train:
        windows = windows_of(train, labels=True)
        per_device = args.per_device_train_batch_size
        measured = train_model(
            args,
            model,
            loss,
            batches_of(windows, tokenizer, args, per_device, length),
            partial(save_model, args, model, tokenizer),
            found=found,
            samples=len(train),
            evaluate=evaluation,
        )

    # Results
    output = Path(args.output_dir)
    if args.do_eval:
        metrics, answers = measured or evaluation()
        write_answers(answers, output, "eval_")
        write_results(args, "eval", metrics)
    if args.do_predict:
        answers = answers_to(test, windows_of(test))
        write_answers(answers, output, "predict_")
        write_results(args, "test", {"test_samples": len(test)})
    push_to_hub(args)


if __name__ == "__main__":
    main()
