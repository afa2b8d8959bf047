"""Causal language modelling: trains a decoder to tell the next token, and scores it.

    python -m stages.run_clm_flax --model_name_or_path FOLDER --train_file a.txt \\
        --validation_file b.txt --do_train --do_eval --output_dir out
"""

from functools import partial

import numpy as np

from stages import models
from stages.core.arguments import parse
from stages.core.errors import InputError, command
from stages.data.batching import IGNORE_INDEX, Batches
from stages.generation import GenerationOptions, decode_batch, generate_rows, make_generate_step
from stages.models.loading import (
    check_vocabulary,
    load_model,
    load_tokenizer,
    row_length,
    save_model,
)
from stages.tasks.clm.arguments import ClmArguments
from stages.tasks.clm.config import new_config
from stages.tasks.clm.rows import hold_out, pack
from stages.tasks.text.documents import piece_bytes, read_documents, read_paragraphs
from stages.tasks.text.evaluate import evaluate_language, surprise_rows, token_scores
from stages.training.best import Evaluation
from stages.training.losses import cross_entropy
from stages.training.results import push_to_hub, write_results
from stages.training.session import inputs, make_batches, start, train_model
from stages.training.step import make_eval_step


def next_token_logits(model, batch, rngs=None):
    """Logits [rows, tokens, vocabulary] of what follows each token."""
    return model(batch["input_ids"], attention_mask=batch["attention_mask"], rngs=rngs)


def loss(model, batch, rngs):
    """Negative log likelihood of the tokens that follow, summed, and their number."""
    return cross_entropy(next_token_logits(model, batch, rngs), batch["labels"])


def score(model, batch):
    """What evaluation adds up over all tokens."""
    return token_scores(next_token_logits(model, batch), batch["labels"])


def before(arrays, row: int, place: int) -> dict[str, list[int]]:
    """The text that a token follows."""
    return {"text": arrays["input_ids"][row, : place + 1].tolist()}


def batches_of(columns, tokenizer, args, per_device: int, length: int) -> Batches:
    """Batches of blocks, or of prompts, of at most `length` tokens."""
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    padding = {"input_ids": pad, "labels": IGNORE_INDEX}
    return make_batches(args, columns, per_device, padding=padding, max_length=length)


def read_prompts(tokenizer, path: str, limit: int | None, room: int, new: int) -> dict[str, list]:
    """The lines of a text file, each taken as a document's beginning.

    Args:
        tokenizer: has an end-of-sequence token, which stands before each document.
        path: the file.
        limit: lines to take.
        room: tokens that a prompt may have.
        new: tokens that are to follow it, for the message.

    Returns:
        Columns `texts`, `input_ids` and `attention_mask`.

    Raises:
        InputError: a line is longer than the model has room for.
    """
    texts = read_paragraphs(path, limit)
    encoded = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    prompts = [np.array([tokenizer.eos_token_id, *ids], np.int32) for ids in encoded]
    for number, prompt in enumerate(prompts, start=1):
        if len(prompt) > room:
            raise InputError(
                f"{path}, paragraph {number}: {len(prompt)} tokens and --max_new_tokens {new} are "
                f"more than the model's {room + new} positions; shorten it, or ask for fewer"
            )
    masks = [np.ones(len(prompt), np.int32) for prompt in prompts]
    return {"texts": texts, "input_ids": prompts, "attention_mask": masks}


def continue_lines(model, tokenizer, prompts: dict[str, list], args, room: int) -> list[dict]:
    """What the model writes behind each prompt."""
    texts = prompts["texts"]
    columns = {name: prompts[name] for name in ("input_ids", "attention_mask")}
    batches = batches_of(columns, tokenizer, args, args.per_device_eval_batch_size, room)
    options = GenerationOptions.from_model(
        model,
        max_new_tokens=args.max_new_tokens,
        num_beams=args.num_beams,
        eos_token_id=tokenizer.eos_token_id,
    )
    written = generate_rows(make_generate_step(model, options), model, batches)
    return [
        {"text": text, "continuation": continuation}
        for text, continuation in zip(texts, decode_batch(tokenizer, written), strict=True)
    ]


@command
def main() -> None:
    """Train, evaluate, predict: as the flags say."""
    args = parse(ClmArguments, __doc__)
    start(args)

    # Tokenizer and model
    tokenizer = load_tokenizer(args)
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"the tokenizer of {args.tokenizer_name or args.model_name_or_path} has no "
            "end-of-sequence token, which marks where documents end"
        )
    model = load_model(args, "causal_lm", config=new_config(args, tokenizer))
    check_vocabulary(tokenizer, model.config)
    length = row_length(args, model.config, tokenizer, "block_size")

    # Data
    found = inputs(args, held_out=bool(args.held_out_percentage))

    def read(path: str, limit: int | None, part: int) -> dict[str, list]:
        """The blocks of a file, or of the part of it that is kept (0) or held out (1)."""
        name = args.dataset_name or path
        documents = read_documents(path)
        if args.held_out_percentage:
            documents = hold_out(documents, args.held_out_percentage, args.seed, name)[part]
        joint = "\n" if args.keep_linebreaks else " "
        columns = pack(tokenizer, documents, length, joint)
        if not columns["labels"]:
            raise InputError(f"{name}: the tokenizer finds no token in the text")
        return {column: rows[:limit] for column, rows in columns.items()}

    evaluation = None
    if "validation" in found:
        columns = read(*found["validation"], 1)
        batches = batches_of(columns, tokenizer, args, args.per_device_eval_batch_size, length)
        eval_step = make_eval_step(model, score)
        token_bytes = piece_bytes(tokenizer, blanks=True)

        def evaluation() -> Evaluation:
            scores = evaluate_language(eval_step, model, batches, token_bytes)
            return Evaluation(scores.metrics, scores.surprises)

    if args.do_predict:
        room = models.max_positions(model.config) - args.max_new_tokens
        prompts = read_prompts(tokenizer, *found["test"], room, args.max_new_tokens)

    # Training
    measured = None
    if args.do_train:
        columns = read(*found["train"], 0)
        measured = train_model(
            args,
            model,
            loss,
            batches_of(columns, tokenizer, args, args.per_device_train_batch_size, length),
            partial(save_model, args, model, tokenizer),
            found=found,
            samples=len(columns["labels"]),
            evaluate=evaluation,
        )

    # Results
    if args.do_eval:
        metrics, surprises = measured or evaluation()
        rows = surprise_rows(tokenizer, batches, surprises, before)
        write_results(args, "eval", metrics, rows)
    if args.do_predict:
        rows = continue_lines(model, tokenizer, prompts, args, room)
        write_results(args, "test", {"test_samples": len(rows)}, rows)
    push_to_hub(args)


if __name__ == "__main__":
    main()
