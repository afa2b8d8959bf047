"""Masked language modelling: pre-trains an encoder, or goes on with one, and scores it.

    python -m stages.run_mlm_flax --model_name_or_path FOLDER --train_file a.txt \\
        --validation_file b.txt --do_train --do_eval --output_dir out
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from stages.core.arguments import parse
from stages.core.errors import InputError, command
from stages.data.batching import Batches
from stages.models.loading import (
    check_vocabulary,
    load_model,
    load_tokenizer,
    row_length,
    save_model,
)
from stages.tasks.mlm.arguments import MlmArguments
from stages.tasks.mlm.rows import Masker, alternate_segments, pack
from stages.tasks.text.documents import piece_bytes, read_documents, read_paragraphs
from stages.tasks.text.evaluate import evaluate_language, surprise_rows, token_scores
from stages.training.best import Evaluation
from stages.training.loop import run_batches
from stages.training.losses import cross_entropy
from stages.training.results import push_to_hub, write_results
from stages.training.session import inputs, make_batches, start, train_model
from stages.training.step import make_eval_step

FILLINGS = 5


def masked_logits(model, batch, rngs=None):
    """Logits [rows, places, vocabulary] of the places to score; no other passes the head."""
    hidden = model.hidden(
        batch["input_ids"],
        attention_mask=batch["attention_mask"],
        token_type_ids=batch.get("token_type_ids"),
        rngs=rngs,
    )
    return model.logits(jnp.take_along_axis(hidden, batch["positions"][..., None], axis=1))


def loss(model, batch, rngs):
    """Negative log likelihood of the masked tokens, summed, and their number."""
    return cross_entropy(masked_logits(model, batch, rngs), batch["labels"])


def score(model, batch):
    """What evaluation adds up over the masked tokens."""
    return token_scores(masked_logits(model, batch), batch["labels"])


def around(arrays, row: int, place: int) -> dict[str, list[int]]:
    """The text on both sides of a masked token; others are masked in it."""
    ids = arrays["input_ids"][row, : arrays["attention_mask"][row].sum()].tolist()
    position = arrays["positions"][row, place]
    return {"before": ids[:position], "after": ids[position + 1 :]}


def fill(model, tokenizer, path, limit, args, length) -> list[dict]:
    """The likeliest tokens for each mask token in the lines of a text file."""
    texts = read_paragraphs(path, limit)
    encoded = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
    for number, ids in enumerate(encoded, start=1):
        if tokenizer.mask_token_id not in ids:
            raise InputError(
                f"{path}, paragraph {number}: no {tokenizer.mask_token} within the first {length} "
                "tokens; put it where a token is to be predicted"
            )
    batches = batches_of(encoded, tokenizer, args, args.per_device_eval_batch_size, length)
    step = make_eval_step(
        model,
        lambda model, batch: jax.lax.top_k(
            model(batch["input_ids"], attention_mask=batch["attention_mask"]), FILLINGS
        ),
    )
    rows: list[dict] = [{} for _ in texts]
    for indices, (_, tops) in run_batches(step, model, batches):
        for index, top in zip(indices, tops, strict=True):
            if index < 0:
                continue
            places = np.flatnonzero(np.array(encoded[index]) == tokenizer.mask_token_id)
            fillings = [tokenizer.convert_ids_to_tokens(top[place].tolist()) for place in places]
            rows[index] = {"text": texts[index], "fillings": fillings}
    return rows


def batches_of(rows, tokenizer, args, per_device: int, length: int) -> Batches:
    """Batches of token rows."""
    columns = {"input_ids": rows, "attention_mask": [np.ones(len(row), np.int32) for row in rows]}
    if args.alternate_segments:
        columns["token_type_ids"] = alternate_segments(rows, tokenizer.sep_token_id)
    return make_batches(
        args,
        columns,
        per_device,
        padding={"input_ids": tokenizer.pad_token_id},
        full_length=length if args.pad_to_max_length else None,
        max_length=length,
    )


@command
def main() -> None:
    """Train, evaluate, predict: as the flags say."""
    args = parse(MlmArguments, __doc__)
    start(args)

    # Tokenizer and model
    tokenizer = load_tokenizer(args)
    if tokenizer.mask_token_id is None:
        raise InputError(f"the tokenizer of {args.model_name_or_path} has no mask token")
    model = load_model(args, "masked_lm")
    check_vocabulary(tokenizer, model.config)
    length = row_length(args, model.config, tokenizer)

    # Data
    found = inputs(args)

    def read(path: str, limit: int | None) -> list[np.ndarray]:
        rows = pack(tokenizer, read_documents(path), length, line_by_line=args.line_by_line)
        if not rows:
            name = args.dataset_name or path
            raise InputError(f"{name}: the tokenizer finds no token in the text")
        return rows[:limit]

    masker = Masker(
        tokenizer, args.mlm_probability, args.seed, args.mlm_span_length, args.mlm_span_start
    )
    evaluation = None
    if "validation" in found:
        rows = read(*found["validation"])
        batches = batches_of(rows, tokenizer, args, args.per_device_eval_batch_size, length)
        eval_step = make_eval_step(model, score)
        token_bytes = piece_bytes(tokenizer)

        def evaluation() -> Evaluation:
            scores = evaluate_language(eval_step, model, batches, token_bytes, masker.evaluation)
            return Evaluation(scores.metrics, scores.surprises)

    # Training
    measured = None
    if args.do_train:
        rows = read(*found["train"])
        measured = train_model(
            args,
            model,
            loss,
            batches_of(rows, tokenizer, args, args.per_device_train_batch_size, length),
            partial(save_model, args, model, tokenizer),
            found=found,
            samples=len(rows),
            evaluate=evaluation,
            prepare=masker.training,
        )

    # Results
    if args.do_eval:
        metrics, surprises = measured or evaluation()
        rows = surprise_rows(tokenizer, batches, surprises, around, masker.evaluation)
        write_results(args, "eval", metrics, rows)
    if args.do_predict:
        rows = fill(model, tokenizer, *found["test"], args, length)
        write_results(args, "test", {"test_samples": len(rows)}, rows)
    push_to_hub(args)


if __name__ == "__main__":
    main()
