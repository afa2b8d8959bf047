"""Whether a sentence asks.

    python -m stages.run_toy --model_name_or_path FOLDER --train_file a.csv --do_train \\
        --output_dir out
"""

from functools import partial

import numpy as np
from stages.tasks.toy.arguments import ToyArguments
from stages.tasks.toy.examples import LABELS, read_examples

from stages.core.errors import command
from stages.data.batching import IGNORE_INDEX
from stages.models.loading import max_length
from stages.tasks.encoders import encoder_logits
from stages.tasks.outputs import row_outputs
from stages.training.batches import make_batches
from stages.training.best import Evaluation
from stages.training.inputs import input_files, read_input
from stages.training.losses import cross_entropy
from stages.training.session import (
    finish,
    load_model,
    load_tokenizer,
    start,
    train_model,
)
from stages.training.step import make_eval_step


def loss(model, batch, rngs=None):
    """Negative log likelihood of the right label, summed over rows, and their number."""
    return cross_entropy(encoder_logits(model, batch, rngs), batch["labels"])


def score(model, batch):
    """Logits float32 [rows, 2]."""
    return {"logits": encoder_logits(model, batch)}


@command
def main() -> None:
    """Train, evaluate and predict, as the flags say."""
    args = start(ToyArguments, __doc__)

    # Data
    inputs = input_files(args)
    train, validation, test = (read_input(one, read_examples) for one in inputs)

    # Model
    tokenizer = load_tokenizer(args)
    model = load_model(args, "sequence_classification", tokenizer, labels=LABELS)
    eval_step = make_eval_step(model, score)
    length = max_length(args.max_seq_length, model.config, tokenizer)

    def batches(examples, rows_per_device):
        encoded = tokenizer(examples.sentences, truncation=True, max_length=length)
        columns = {name: encoded[name] for name in ("input_ids", "attention_mask")}
        columns["labels"] = np.array(examples.labels, np.int32)
        padding = {"input_ids": tokenizer.pad_token_id, "labels": IGNORE_INDEX}
        return make_batches(
            columns, rows_per_device, padding=padding, max_length=length, **args.batch_options
        )

    # Training
    def score_rows(examples, split: str) -> Evaluation:
        rows, _ = row_outputs(eval_step, model, batches(examples, args.per_device_eval_batch_size))
        found = np.stack(rows["logits"]).argmax(axis=-1)
        accuracy = float(np.mean(found == examples.labels))
        metrics = {f"{split}_accuracy": accuracy, f"{split}_samples": len(found)}
        predictions = [
            {"sentence": sentence, "prediction": LABELS[label]}
            for sentence, label in zip(examples.sentences, found, strict=True)
        ]
        return Evaluation(metrics, lambda: predictions)

    evaluate = None if validation is None else partial(score_rows, validation, "eval")
    final_eval = None
    if args.do_train:
        final_eval = train_model(
            args,
            model,
            loss,
            batches(train, args.per_device_train_batch_size),
            tokenizer,
            inputs=inputs,
            samples=len(train.labels),
            evaluate=evaluate,
        )

    # Results
    finish(
        args, evaluate=evaluate, predict=partial(score_rows, test, "test"), final_eval=final_eval
    )


if __name__ == "__main__":
    main()
