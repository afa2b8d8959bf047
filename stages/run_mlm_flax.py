"""Masked language modelling: pre-trains an encoder, or goes on with one, and scores it.

    python -m stages.run_mlm_flax --model_name_or_path FOLDER --train_file a.txt \\
        --validation_file b.txt --do_train --do_eval --output_dir out
"""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from stages.arguments import parse
from stages.batches import IGNORE, Batches
from stages.errors import InputError, command
from stages.hub_data import input_file
from stages.results import push_to_hub, write_json_lines, write_results
from stages.start import check_vocabulary, load_model, load_tokenizer, row_length, save_model, start
from stages.tasks.mlm.arguments import MlmArguments
from stages.tasks.mlm.examples import read_documents
from stages.tasks.mlm.rows import Masker, alternate_segments, pack, piece_bytes
from stages.training.loop import fit, run_batches
from stages.training.losses import cross_entropy
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
    """What evaluation adds up: losses, hits, scored tokens."""
    logits = masked_logits(model, batch)
    total, count = cross_entropy(logits, batch["labels"])
    hits = jnp.argmax(logits, axis=-1) == batch["labels"]
    return {"loss": total, "count": count, "hits": jnp.sum(hits)}


def evaluate(eval_step, model, batches, masker, token_bytes) -> dict[str, float]:
    """Loss, accuracy, perplexity and bits per byte of the masked tokens."""
    total = count = hits = scored_bytes = 0.0

    def prepare(batch):
        nonlocal scored_bytes
        batch = masker.evaluation(batch)
        labels = batch.arrays["labels"]
        scored_bytes += float(token_bytes[labels[labels != IGNORE]].sum())
        return batch

    for _, sums in run_batches(eval_step, model, batches, prepare):
        total += float(sums["loss"])
        count += float(sums["count"])
        hits += float(sums["hits"])
    if not scored_bytes:
        raise InputError(
            "the evaluation text holds no token to score, only special ones such as the unknown; "
            "does the tokenizer belong to this language?"
        )
    return {
        "eval_loss": total / count,
        "eval_accuracy": hits / count,
        "eval_perplexity": math.exp(min(total / count, 700.0)),
        # A smaller vocabulary flatters the perplexity of a token; a byte is a byte.
        "eval_bits_per_byte": total / math.log(2) / scored_bytes,
        "eval_samples": len(batches.lengths),
    }


def fill(model, tokenizer, path, args, length) -> list[dict]:
    """The likeliest tokens for each mask token in the lines of a text file."""
    texts = [paragraph for document in read_documents(path) for paragraph in document]
    texts = texts[: args.max_predict_samples]
    encoded = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
    for number, ids in enumerate(encoded, start=1):
        if tokenizer.mask_token_id not in ids:
            raise InputError(
                f"{path}, paragraph {number}: no {tokenizer.mask_token} within the first {length} "
                "tokens; put it where a token is to be predicted"
            )
    batches = make_batches(encoded, tokenizer, args, args.per_device_eval_batch_size, length)
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


def make_batches(rows, tokenizer, args, per_device: int, length: int, seed: int = 0) -> Batches:
    """Batches of token rows, over all devices."""
    columns = {"input_ids": rows, "attention_mask": [np.ones(len(row), np.int32) for row in rows]}
    if args.alternate_segments:
        columns["token_type_ids"] = alternate_segments(rows, tokenizer.sep_token_id)
    return Batches(
        columns,
        padding={"input_ids": tokenizer.pad_token_id},
        batch_size=per_device * jax.device_count(),
        buckets=args.length_buckets,
        seed=seed,
        shuffle=not args.keep_row_order,
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
    def read(file: str, split: str, limit: int | None) -> list[np.ndarray]:
        documents = read_documents(input_file(args, file, split))
        rows = pack(tokenizer, documents, length, line_by_line=args.line_by_line)[:limit]
        if not rows:
            name = args.dataset_name or getattr(args, file)
            raise InputError(f"{name}: the tokenizer finds no token in the text")
        return rows

    masker = Masker(
        tokenizer, args.mlm_probability, args.seed, args.mlm_span_length, args.mlm_span_start
    )
    evaluation = None
    if args.do_eval or (args.do_train and args.validation_file):
        rows = read("validation_file", "eval_split_name", args.max_eval_samples)
        batches = make_batches(rows, tokenizer, args, args.per_device_eval_batch_size, length)
        eval_step = make_eval_step(model, score)
        token_bytes = piece_bytes(tokenizer)

        def evaluation() -> dict[str, float]:
            return evaluate(eval_step, model, batches, masker, token_bytes)

    # Training
    if args.do_train:
        rows = read("train_file", "train_split_name", args.max_train_samples)
        metrics = fit(
            model,
            loss,
            make_batches(
                rows, tokenizer, args, args.per_device_train_batch_size, length, args.seed
            ),
            args,
            evaluate=evaluation,
            save=lambda: save_model(args, model, tokenizer),
            prepare=masker.training,
        )
        save_model(args, model, tokenizer)
        write_results(args, "train", {**metrics, "train_samples": len(rows)})

    # Results
    if args.do_eval:
        write_results(args, "eval", evaluation())
    if args.do_predict:
        path = input_file(args, "test_file", "test_split_name")
        rows = fill(model, tokenizer, path, args, length)
        write_json_lines(Path(args.output_dir) / "predictions.json", rows)
        write_results(args, "test", {"test_samples": len(rows)})
    push_to_hub(args)


if __name__ == "__main__":
    main()
