"""Causal language modelling: trains a decoder to predict the next token, and scores it.

    python -m stages.run_clm_flax --model_name_or_path FOLDER --train_file a.txt \\
        --validation_file b.txt --do_train --do_eval --output_dir out
"""

from collections.abc import Iterator
from functools import partial

from stages import models
from stages.core.errors import command
from stages.data.batching import Batches
from stages.data.cache import UNCACHED
from stages.data.encode import Encoder
from stages.data.shapes import Shapes
from stages.data.tables import Table
from stages.generation import GenerationOptions, generate_text, make_generate_step
from stages.models.loading import max_length
from stages.tasks.clm.arguments import ClmArguments
from stages.tasks.clm.config import new_config
from stages.tasks.clm.loss import loss, score
from stages.tasks.clm.rows import batch_blocks, read_blocks, read_prompts, text_before
from stages.tasks.text.documents import token_bytes
from stages.tasks.text.evaluate import evaluate_language
from stages.training import session
from stages.training.best import Evaluation
from stages.training.inputs import input_files, read_input, row_cache
from stages.training.step import make_eval_step


@command
def main() -> None:
    """Train, evaluate and predict, as the flags say."""
    args = session.start(ClmArguments, __doc__)

    # Model
    tokenizer = session.load_tokenizer(args, needs=("eos",))
    if tokenizer.pad_token_id is None:  # GPT-2's
        print(f"the tokenizer has no pad_token: rows are padded with {tokenizer.eos_token}")
    model = session.load_model(args, "causal_lm", tokenizer, config=new_config(args, tokenizer))

    # Data
    inputs = input_files(args, held_out=bool(args.held_out_percentage))
    length = max_length(args.block_size, model.config, tokenizer, "block_size")
    reader = partial(
        read_blocks,
        encoder=Encoder(tokenizer),
        cache=row_cache(args),
        block_size=length,
        keep_linebreaks=args.keep_linebreaks,
        held_out_percentage=args.held_out_percentage,
        seed=args.seed,
        name=args.dataset_name,
        **args.columns,
    )
    train = read_input(inputs.train, reader, held_out=False)
    validation = read_input(inputs.validation, reader, held_out=True)
    test = read_input(
        inputs.test,
        read_prompts,
        tokenizer=tokenizer,
        max_length=models.max_positions(model.config),
        max_new_tokens=args.max_new_tokens,
        **args.columns,
    )
    batches = partial(batch_blocks, tokenizer=tokenizer, **args.batch_options)

    # Training
    evaluate = final_eval = None
    if validation is not None:
        evaluate = partial(
            evaluate_language,
            make_eval_step(model, score),
            model,
            batches(validation, max_length=length, rows_per_device=args.per_device_eval_batch_size),
            tokenizer,
            token_bytes(tokenizer, blanks=True),
            text_before,
        )
    if args.do_train:
        training_rows = partial(batches, max_length=length, **args.training_batch_options)

        def next_block(table: Table, shapes: Shapes) -> Batches:
            return training_rows(
                reader(table, limit=None, held_out=False, cache=UNCACHED), shapes=shapes
            )

        final_eval = session.train_model(
            args,
            model,
            loss,
            training_rows(train),
            tokenizer,
            inputs=inputs,
            samples=len(train["labels"]),
            next_block=next_block,
            evaluate=evaluate,
        )

    # Results
    def predict() -> Evaluation:
        texts, prompts = test
        options = GenerationOptions.from_model(
            model,
            max_new_tokens=args.max_new_tokens,
            num_beams=args.num_beams,
            eos_token_id=tokenizer.eos_token_id,
        )
        room = models.max_positions(model.config) - args.max_new_tokens
        rows = batches(prompts, max_length=room, rows_per_device=args.per_device_eval_batch_size)
        _, continuations = generate_text(make_generate_step(model, options), model, tokenizer, rows)

        def predictions() -> Iterator[dict]:
            for text, continuation in zip(texts, continuations, strict=True):
                yield {"text": text, "continuation": continuation}

        return Evaluation({"test_samples": len(texts)}, predictions)

    session.finish(args, evaluate=evaluate, predict=predict, final_eval=final_eval)


if __name__ == "__main__":
    main()
