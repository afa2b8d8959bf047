"""Masked language modelling: pre-trains an encoder, or continues its training, and scores it.

    python -m stages.run_mlm_flax --model_name_or_path FOLDER --train_file a.txt \\
        --validation_file b.txt --do_train --do_eval --output_dir out
"""

from functools import partial

from stages.core.errors import command
from stages.data.batching import Batches
from stages.data.cache import UNCACHED
from stages.data.encode import Encoder
from stages.data.shapes import Shapes
from stages.data.tables import Table
from stages.models.loading import max_length
from stages.tasks.mlm.arguments import MlmArguments
from stages.tasks.mlm.loss import loss, score
from stages.tasks.mlm.predict import batch_rows, fill_masks, read_masked, text_around
from stages.tasks.mlm.rows import Masker, read_rows
from stages.tasks.text.documents import token_bytes
from stages.tasks.text.evaluate import evaluate_language
from stages.training import session
from stages.training.best import Evaluation
from stages.training.inputs import input_files, read_input, row_cache
from stages.training.step import make_eval_step


@command
def main() -> None:
    """Train, evaluate and predict, as the flags say."""
    args = session.start(MlmArguments, __doc__)

    # Model
    tokenizer = session.load_tokenizer(args, needs=("pad", "mask", "cls", "sep"))
    model = session.load_model(args, "masked_lm", tokenizer)

    # Data
    inputs = input_files(args)
    length = max_length(args.max_seq_length, model.config, tokenizer)
    reader = partial(
        read_rows,
        encoder=Encoder(tokenizer),
        cache=row_cache(args),
        max_length=length,
        line_by_line=args.line_by_line,
        name=args.dataset_name,
        **args.columns,
    )
    train = read_input(inputs.train, reader)
    validation = read_input(inputs.validation, reader)
    batches = partial(
        batch_rows,
        segments=args.alternate_segments,
        pad_to_max_length=args.pad_to_max_length,
        tokenizer=tokenizer,
        max_length=length,
        **args.batch_options,
    )
    eval_masker = Masker(tokenizer, args.mlm_probability, args.seed)
    train_masker = Masker(
        tokenizer, args.train_probability, args.seed, args.mlm_span_length, args.mlm_span_start
    )

    # Training
    evaluate = final_eval = None
    if validation is not None:
        evaluate = partial(
            evaluate_language,
            make_eval_step(model, score),
            model,
            batches(validation, rows_per_device=args.per_device_eval_batch_size),
            tokenizer,
            token_bytes(tokenizer),
            text_around,
            eval_masker.evaluation,
        )
    if args.do_train:
        training_rows = partial(batches, **args.training_batch_options)

        def next_block(table: Table, shapes: Shapes) -> Batches:
            return training_rows(reader(table, limit=None, cache=UNCACHED), shapes=shapes)

        final_eval = session.train_model(
            args,
            model,
            loss,
            training_rows(train),
            tokenizer,
            inputs=inputs,
            samples=len(train),
            next_block=next_block,
            evaluate=evaluate,
            prepare=train_masker.training,
        )

    # Results
    def predict() -> Evaluation:
        # Only now: the truncation that it asks for would be saved with the tokenizer.
        texts, encoded = read_input(
            inputs.test,
            read_masked,
            tokenizer=tokenizer,
            max_length=length,
            **args.columns,
        )
        rows = batches(encoded, rows_per_device=args.per_device_eval_batch_size)
        predictions = fill_masks(model, tokenizer, rows, texts, encoded)
        return Evaluation({"test_samples": len(texts)}, predictions)

    session.finish(args, evaluate=evaluate, predict=predict, final_eval=final_eval)


if __name__ == "__main__":
    main()
