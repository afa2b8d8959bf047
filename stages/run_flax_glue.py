"""Text classification: one sentence or two into classes, or onto a number.

    python -m stages.run_flax_glue --model_name_or_path FOLDER --train_file a.csv \\
        --validation_file b.csv --do_train --do_eval --output_dir out
"""

from functools import partial

import numpy as np

from stages.core.arguments import parse
from stages.core.errors import InputError, command
from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.tables import read_table
from stages.models.loading import (
    check_vocabulary,
    checkpoint_labels,
    load_model,
    load_tokenizer,
    row_length,
    save_model,
)
from stages.tasks.glue.arguments import GlueArguments
from stages.tasks.glue.examples import Examples, encode_labels, label_list, read_examples
from stages.tasks.glue.metric import REGRESSION, Glue, accuracy_by_group, positive_class
from stages.training.best import Evaluation
from stages.training.loop import run_batches
from stages.training.losses import cross_entropy, squared_error
from stages.training.results import push_to_hub, write_results
from stages.training.session import inputs, make_batches, start, train_model
from stages.training.step import make_eval_step


def classify(model, batch, rngs=None):
    """Logits [rows, classes], or [rows, 1] for a regression."""
    return model(
        batch["input_ids"],
        attention_mask=batch["attention_mask"],
        token_type_ids=batch.get("token_type_ids"),
        rngs=rngs,
    )


def class_loss(model, batch, rngs=None):
    """Negative log likelihood of the right class, summed over rows, and their number."""
    return cross_entropy(classify(model, batch, rngs), batch["labels"])


def number_loss(model, batch, rngs=None):
    """Squared error summed over rows, and their number."""
    predictions = classify(model, batch, rngs)[:, 0]
    return squared_error(predictions, batch["labels"], batch["row_mask"])


def make_score(regression: bool):
    """The evaluation step's function: sum of losses, rows, logits."""

    def score(model, batch):
        logits = classify(model, batch)
        if regression:
            total, count = squared_error(logits[:, 0], batch["labels"], batch["row_mask"])
        else:
            total, count = cross_entropy(logits, batch["labels"])
        return {"loss": total, "count": count, "logits": logits}

    return score


def batches_of(examples: Examples, labels, tokenizer, args, per_device, length) -> Batches:
    """Batches of one or two sentences a row, the longer one cut where they do not fit."""
    encoded = tokenizer(examples.sentence1, examples.sentence2, truncation=True, max_length=length)
    columns = {
        name: encoded[name]
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in encoded
    }
    return make_batches(
        args,
        {**columns, "labels": labels},
        per_device,
        padding={
            "input_ids": tokenizer.pad_token_id,
            "labels": 0 if labels.dtype == np.float32 else IGNORE_INDEX,
        },
        max_length=length,
    )


def predict(eval_step, model, batches) -> tuple[np.ndarray, float]:
    """Logits [rows, classes] in the order of the file, and the mean loss."""
    total = count = 0.0
    logits = np.zeros((len(batches.lengths), model.config.num_labels), np.float32)
    for indices, out in run_batches(eval_step, model, batches):
        real = indices >= 0
        logits[indices[real]] = out["logits"][real]
        total += float(out["loss"])
        count += float(out["count"])
    return logits, total / max(count, 1.0)


def evaluate(logits, mean_loss, labels, examples, names, args) -> dict[str, float]:
    """The task's metrics under their names in the results."""
    if examples.regression:
        kind = args.task_name or REGRESSION
        metrics = Glue(kind).compute(predictions=logits[:, 0], references=labels)
    else:
        guesses = logits.argmax(axis=-1)
        metric = Glue(args.task_name) if args.task_name else Glue()
        positive = {"positive": positive_class(names)} if args.task_name in ("mrpc", "qqp") else {}
        metrics = metric.compute(predictions=guesses, references=labels, **positive)
        if args.group_column_name:
            groups = examples.extra(args.group_column_name)
            metrics |= accuracy_by_group(guesses, labels, groups)
    metrics = {f"eval_{name}": value for name, value in metrics.items()}
    return {**metrics, "eval_loss": mean_loss, "eval_samples": len(labels)}


def prediction_rows(logits, examples: Examples, names, regression: bool) -> list[dict]:
    """What goes into the predictions file: the sentences, the class and its probability."""
    rows = []
    for index, scores in enumerate(logits.astype(np.float64)):
        row = {"sentence1": examples.sentence1[index]}
        if examples.sentence2 is not None:
            row["sentence2"] = examples.sentence2[index]
        if examples.labels is not None:
            row["label"] = examples.labels[index]
        if regression:
            row["prediction"] = float(scores[0])
        else:
            odds = np.exp(scores - scores.max())
            row["prediction"] = names[int(scores.argmax())]
            row["probability"] = float(odds.max() / odds.sum())
        rows.append(row)
    return rows


@command
def main() -> None:
    """Train, evaluate, predict: as the flags say."""
    args = parse(GlueArguments, __doc__)
    start(args)

    # Data
    found = inputs(args)

    def read(path: str, limit: int | None, **options) -> Examples:
        return read_examples(
            read_table(path).first(limit),
            text_column=args.text_column_name,
            text_pair_column=args.text_pair_column_name,
            label_column=args.label_column_name,
            group_column=args.group_column_name,
            task_name=args.task_name,
            **options,
        )

    names, regression = checkpoint_labels(args, "sequence_classification")
    train = validation = test = None
    if "train" in found:
        train = read(*found["train"])
        regression = train.regression
        if not regression and set(names or ()) != set(labels := label_list(train.labels)):
            names = labels
    elif names is None:
        raise InputError(
            f"{args.model_name_or_path}: its config.json names no labels; train first (--do_train)"
        )
    if "validation" in found:
        validation = read(*found["validation"], regression=regression)
    if "test" in found:
        test = read(*found["test"], regression=regression, needs_labels=False)

    # Tokenizer and model
    tokenizer = load_tokenizer(args)
    model = load_model(args, "sequence_classification", labels=names, regression=regression)
    check_vocabulary(tokenizer, model.config)
    length = row_length(args, model.config, tokenizer)
    eval_step = make_eval_step(model, make_score(regression))
    small = args.per_device_eval_batch_size

    evaluation = None
    if validation is not None:
        validation_labels = encode_labels(validation, names)
        batches = batches_of(validation, validation_labels, tokenizer, args, small, length)

        def evaluation() -> Evaluation:
            logits, mean_loss = predict(eval_step, model, batches)
            metrics = evaluate(logits, mean_loss, validation_labels, validation, names, args)
            return Evaluation(metrics, logits)

    # Training
    measured = None
    if args.do_train:
        labels = encode_labels(train, names)
        per_device = args.per_device_train_batch_size
        measured = train_model(
            args,
            model,
            number_loss if regression else class_loss,
            batches_of(train, labels, tokenizer, args, per_device, length),
            partial(save_model, args, model, tokenizer),
            found=found,
            samples=len(train),
            evaluate=evaluation,
        )

    # Results
    if args.do_eval:
        metrics, logits = measured or evaluation()
        rows = prediction_rows(logits, validation, names, regression)
        write_results(args, "eval", metrics, rows)
    if args.do_predict:
        unknown = np.full(
            len(test), 0.0 if regression else IGNORE_INDEX, np.float32 if regression else np.int32
        )
        logits, _ = predict(
            eval_step, model, batches_of(test, unknown, tokenizer, args, small, length)
        )
        rows = prediction_rows(logits, test, names, regression)
        write_results(args, "test", {"test_samples": len(test)}, rows)
    push_to_hub(args)


if __name__ == "__main__":
    main()
