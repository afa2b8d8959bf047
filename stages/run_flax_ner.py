"""Named-entity recognition: a tag for every word of a sentence.

    python -m stages.run_flax_ner --model_name_or_path FOLDER --train_file a.json \\
        --validation_file b.json --do_train --do_eval --output_dir out
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from stages.core.arguments import parse
from stages.core.errors import InputError, command
from stages.data.batching import IGNORE_INDEX, Batches
from stages.models.loading import (
    check_vocabulary,
    checkpoint_labels,
    load_model,
    load_tokenizer,
    row_length,
    save_model,
)
from stages.tasks.ner.arguments import NerArguments
from stages.tasks.ner.examples import Examples, encode_tags, label_list, read_examples
from stages.tasks.ner.metric import NamedEntities
from stages.tasks.ner.windows import Windows, merge_predictions, tokenize
from stages.training.best import Evaluation
from stages.training.loop import run_batches
from stages.training.losses import cross_entropy
from stages.training.results import push_to_hub, write_results
from stages.training.session import inputs, make_batches, start, train_model
from stages.training.step import make_eval_step


def tag_logits(model, batch, rngs=None):
    """Logits [rows, tokens, tags]."""
    return model(
        batch["input_ids"],
        attention_mask=batch["attention_mask"],
        token_type_ids=batch.get("token_type_ids"),
        rngs=rngs,
    )


def loss(model, batch, rngs):
    """Negative log likelihood of the labelled tokens' tags, summed, and their number."""
    return cross_entropy(tag_logits(model, batch, rngs), batch["labels"])


def score(model, batch):
    """What evaluation needs: sum of losses, labelled tokens, the best tag of each token."""
    logits = tag_logits(model, batch)
    total, count = cross_entropy(logits, batch["labels"])
    return {"loss": total, "count": count, "tags": jnp.argmax(logits, axis=-1)}


def batches_of(windows: Windows, tokenizer, args, per_device: int, length: int) -> Batches:
    """Batches of windows; without labels every position is left out of the loss."""
    columns = dict(windows.columns)
    if "labels" not in columns:
        columns["labels"] = [np.full(len(ids), IGNORE_INDEX) for ids in columns["input_ids"]]
    return make_batches(
        args,
        columns,
        per_device,
        padding={"input_ids": tokenizer.pad_token_id, "labels": IGNORE_INDEX},
        max_length=length,
    )


def predict(eval_step, model, batches, windows, names) -> tuple[list[list[str]], float]:
    """A tag for each word of each sentence, and the mean loss of the labelled tokens."""
    total = count = 0.0
    best: list[np.ndarray] = [np.zeros(0)] * len(windows.sentence)
    for indices, out in run_batches(eval_step, model, batches):
        total += float(out["loss"])
        count += float(out["count"])
        for index, tags in zip(indices, out["tags"], strict=True):
            if index >= 0:
                best[index] = tags
    return merge_predictions(windows, best, names), total / max(count, 1.0)


def prediction_rows(predicted: list[list[str]], examples: Examples) -> list[dict]:
    """What goes into the predictions file: words, predicted tags, and the true ones if known."""
    rows = []
    for index, tags in enumerate(predicted):
        row = {"tokens": examples.tokens[index], "predictions": tags}
        if examples.tags is not None:
            row["ner_tags"] = examples.tags[index]
        rows.append(row)
    return rows


@command
def main() -> None:
    """Train, evaluate, predict: as the flags say."""
    args = parse(NerArguments, __doc__)
    start(args)

    # Data
    found = inputs(args)

    def read(path: str, limit: int | None, needs_labels: bool = True) -> Examples:
        return read_examples(
            path,
            text_column=args.text_column_name,
            label_column=args.label_column_name,
            needs_labels=needs_labels,
        ).first(limit)

    names, _ = checkpoint_labels(args, "token_classification")
    train = validation = test = None
    if "train" in found:
        train = read(*found["train"])
        if set(names or ()) != set(tags := label_list(train.tags)):
            names = tags
    elif names is None:
        raise InputError(
            f"{args.model_name_or_path}: its config.json names no tags; train first (--do_train)"
        )
    if "validation" in found:
        validation = read(*found["validation"])
        encode_tags(validation, names)
    if "test" in found:
        test = read(*found["test"], needs_labels=False)

    # Tokenizer and model
    tokenizer = load_tokenizer(args, words=True)
    model = load_model(args, "token_classification", labels=names)
    check_vocabulary(tokenizer, model.config)
    length = row_length(args, model.config, tokenizer)
    eval_step = make_eval_step(model, score)

    def windows_of(examples: Examples, labelled: bool = True) -> Windows:
        return tokenize(
            tokenizer,
            examples.tokens,
            max_seq_length=length,
            labels=encode_tags(examples, names) if labelled else None,
            names=names,
            label_all_tokens=args.label_all_tokens,
        )

    def predictions(windows: Windows) -> tuple[list[list[str]], float]:
        batches = batches_of(windows, tokenizer, args, args.per_device_eval_batch_size, length)
        return predict(eval_step, model, batches, windows, names)

    evaluation = None
    if validation is not None:
        validation_windows = windows_of(validation)
        metric = NamedEntities()

        def evaluation() -> Evaluation:
            tags, mean_loss = predictions(validation_windows)
            metrics = metric.compute(
                predictions=tags,
                references=validation.tags,
                by_type=args.return_entity_level_metrics,
            )
            metrics = {f"eval_{name}": value for name, value in metrics.items()}
            metrics |= {"eval_loss": mean_loss, "eval_samples": len(validation)}
            return Evaluation(metrics, tags)

    # Training
    measured = None
    if args.do_train:
        windows = windows_of(train)
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
    if args.do_eval:
        metrics, tags = measured or evaluation()
        rows = prediction_rows(tags, validation)
        write_results(args, "eval", metrics, rows)
    if args.do_predict:
        tags, _ = predictions(windows_of(test, labelled=False))
        rows = prediction_rows(tags, test)
        write_results(args, "test", {"test_samples": len(test)}, rows)
    push_to_hub(args)


if __name__ == "__main__":
    main()
