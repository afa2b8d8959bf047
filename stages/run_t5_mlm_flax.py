"""Span corruption: trains an encoder-decoder to tell what is missing, and scores it.

    python -m stages.run_t5_mlm_flax --model_name_or_path FOLDER --train_file a.txt \\
        --validation_file b.txt --do_train --do_eval --output_dir out
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from stages.core.arguments import parse
from stages.core.errors import InputError, command
from stages.data.batching import Batches
from stages.generation import GenerationOptions, generate_rows, make_generate_step
from stages.models.loading import (
    check_vocabulary,
    load_model,
    load_tokenizer,
    row_length,
    save_model,
)
from stages.tasks.seq2seq import target_logits, target_loss
from stages.tasks.t5_mlm.arguments import T5MlmArguments
from stages.tasks.t5_mlm.fillings import check_gaps, read_fillings
from stages.tasks.t5_mlm.spans import Corrupter, sentinels_of
from stages.tasks.text.documents import piece_bytes, read_documents, read_paragraphs, token_stream
from stages.tasks.text.evaluate import evaluate_language, surprise_rows, token_scores
from stages.training.best import Evaluation
from stages.training.results import push_to_hub, write_results
from stages.training.session import inputs, make_batches, start, train_model
from stages.training.step import make_eval_step


def score(model, batch):
    """What evaluation adds up over all target tokens, and over those of the text alone."""
    logits = target_logits(model, batch)
    hits = (jnp.argmax(logits, axis=-1) == batch["labels"]) & (batch["content"] == 1)
    content = {"content_hits": jnp.sum(hits), "content_count": jnp.sum(batch["content"])}
    return {**token_scores(logits, batch["labels"]), **content}


def evaluate(eval_step, model, batches, corrupter, token_bytes) -> Evaluation:
    """Loss, accuracy, perplexity and bits per byte of the targets.

    `eval_accuracy` counts every target token, sentinels and ends included, which are easy;
    `eval_content_accuracy` those of the text alone.
    """
    scores = evaluate_language(eval_step, model, batches, token_bytes, corrupter.evaluation)
    content = scores.totals["content_hits"] / scores.totals["content_count"]
    return Evaluation({**scores.metrics, "eval_content_accuracy": content}, scores.surprises)


def before(arrays, row: int, place: int) -> dict[str, list[int]]:
    """The text with its gaps, and what a target token follows."""
    source = arrays["input_ids"][row, : arrays["attention_mask"][row].sum()]
    return {"text": source.tolist(), "target": arrays["labels"][row, :place].tolist()}


def batches_of(rows, tokenizer, args, per_device: int, full_length: int | None) -> Batches:
    """Batches of token rows."""
    columns = {"input_ids": rows, "attention_mask": [np.ones(len(row), np.int32) for row in rows]}
    padding = {"input_ids": tokenizer.pad_token_id}
    return make_batches(args, columns, per_device, padding=padding, full_length=full_length)


def fill(model, tokenizer, texts: list[str], args) -> list[dict]:
    """What the model writes for each `<extra_id_N>` in the texts."""
    rows = [np.array(ids, np.int32) for ids in tokenizer(texts, verbose=False)["input_ids"]]
    batches = batches_of(rows, tokenizer, args, args.per_device_eval_batch_size, None)
    options = GenerationOptions.from_model(
        model, max_new_tokens=args.max_new_tokens, num_beams=args.num_beams
    )
    written = generate_rows(make_generate_step(model, options), model, batches)
    sentinels = sentinels_of(tokenizer)
    return [
        read_fillings(text, ids, sentinels, tokenizer)
        for text, ids in zip(texts, written, strict=True)
    ]


@command
def main() -> None:
    """Train, evaluate, predict: as the flags say."""
    args = parse(T5MlmArguments, __doc__)
    start(args)

    # Tokenizer and model
    tokenizer = load_tokenizer(args)
    if not len(sentinels_of(tokenizer)):
        raise InputError(
            f"the tokenizer of {args.tokenizer_name or args.model_name_or_path} has no sentinels "
            "<extra_id_0>, <extra_id_1> ...; take that of a T5"
        )
    model = load_model(args, "seq2seq_lm")
    check_vocabulary(tokenizer, model.config)
    length = row_length(args, model.config, tokenizer)

    def corrupter_of(probability: float) -> Corrupter:
        return Corrupter(tokenizer, length, probability, args.mean_noise_span_length, args.seed)

    corrupter = corrupter_of(args.mlm_probability)
    train_corrupter = corrupter_of(args.train_mlm_probability or args.mlm_probability)

    # Data
    found = inputs(args)

    def read(path: str, limit: int | None, row: int) -> list[np.ndarray]:
        stream = token_stream(tokenizer, read_documents(path), " ")
        if not len(stream):
            name = args.dataset_name or path
            raise InputError(f"{name}: the tokenizer finds no token in the text")
        return np.split(stream, range(row, len(stream), row))[:limit]

    evaluation = None
    if "validation" in found:
        row = corrupter.row_length
        rows = read(*found["validation"], row)
        batches = batches_of(rows, tokenizer, args, args.per_device_eval_batch_size, row)
        eval_step = make_eval_step(model, score)
        token_bytes = piece_bytes(tokenizer, blanks=True)

        def evaluation() -> Evaluation:
            return evaluate(eval_step, model, batches, corrupter, token_bytes)

    if "test" in found:
        path, limit = found["test"]
        texts = read_paragraphs(path, limit)
        check_gaps(texts, corrupter.sentinels, path)

    # Training
    measured = None
    if args.do_train:
        row = train_corrupter.row_length
        rows = read(*found["train"], row)
        measured = train_model(
            args,
            model,
            target_loss,
            batches_of(rows, tokenizer, args, args.per_device_train_batch_size, row),
            partial(save_model, args, model, tokenizer),
            found=found,
            samples=len(rows),
            evaluate=evaluation,
            prepare=train_corrupter.training,
        )

    # Results
    if args.do_eval:
        metrics, surprises = measured or evaluation()
        rows = surprise_rows(tokenizer, batches, surprises, before, corrupter.evaluation)
        write_results(args, "eval", metrics, rows)
    if args.do_predict:
        rows = fill(model, tokenizer, texts, args)
        write_results(args, "test", {"test_samples": len(rows)}, rows)
    push_to_hub(args)


if __name__ == "__main__":
    main()
