"""Summarization: a short text for a long one, by an encoder-decoder.

    python -m stages.run_summarization_flax --model_name_or_path FOLDER --train_file a.json \\
        --validation_file b.json --do_train --do_eval --predict_with_generate --output_dir out
"""

from functools import partial

from stages.core.errors import InputError, command
from stages.data.batching import Batches
from stages.data.cache import UNCACHED
from stages.data.encode import Encoder
from stages.data.shapes import Shapes
from stages.data.tables import Table
from stages.generation import GenerationOptions, generate_text, make_generate_step
from stages.tasks.seq2seq import score_targets, target_loss
from stages.tasks.summarization.arguments import SummarizationArguments
from stages.tasks.summarization.examples import read_examples
from stages.tasks.summarization.predict import batch_examples, evaluate
from stages.tasks.summarization.tokens import check_prefix, record_prefix
from stages.training import session
from stages.training.best import Evaluation
from stages.training.inputs import input_files, read_input, row_cache
from stages.training.step import make_eval_step


def generation_options(model, args: SummarizationArguments) -> GenerationOptions:
    """The options of generation: those of the flags, else those of the model's folder."""
    given = args.generation_options()
    options = GenerationOptions.from_model(model, max_length=args.longest_generated, **given)
    if "length_penalty" in given and options.num_beams == 1:
        raise InputError("--length_penalty is for beam search; add --num_beams, or leave it out")
    return options


@command
def main() -> None:
    """Train, evaluate and predict, as the flags say."""
    args = session.start(SummarizationArguments, __doc__)

    # Data
    inputs = input_files(args)
    cache = row_cache(args)
    reader = partial(
        read_examples,
        cache=cache,
        text_column=args.text_column,
        source_columns=args.source_columns,
        summary_column=args.summary_column,
    )
    train = read_input(inputs.train, reader)
    validation = read_input(inputs.validation, reader)
    test = read_input(inputs.test, reader, needs_summaries=False)
    if test is not None and test.summaries is None and not args.predict_with_generate:
        raise InputError(
            f"{test.path}: no summaries to score; add --predict_with_generate to write some"
        )

    # Model
    tokenizer = session.load_tokenizer(args, needs=("pad", "eos"))
    model = session.load_model(args, "seq2seq_lm", tokenizer)
    prefix = args.source_prefix or ""
    if not args.new_weights:
        check_prefix(model.config, prefix, args.model_name_or_path)
    batches = partial(
        batch_examples,
        encoder=Encoder(tokenizer),
        cache=cache,
        prefix=prefix,
        max_source_length=args.max_source_length,
        **args.batch_options,
    )
    generate = None
    if args.predict_with_generate:
        generate_step = make_generate_step(model, generation_options(model, args))
        generate = partial(generate_text, generate_step, model, tokenizer)
    score = partial(
        evaluate, make_eval_step(model, score_targets), model, generate, tokenizer.pad_token_id
    )

    # Training
    evaluate_validation = final_eval = None
    if validation is not None:
        rows = batches(validation, args.per_device_eval_batch_size, args.longest_generated)
        evaluate_validation = partial(score, validation, rows, "eval")
    if args.do_train:
        record_prefix(model.config, prefix)
        training_rows = partial(
            batches, max_target_length=args.max_target_length, **args.training_batch_options
        )

        def next_block(table: Table, shapes: Shapes) -> Batches:
            return training_rows(reader(table, cache=UNCACHED), cache=UNCACHED, shapes=shapes)

        final_eval = session.train_model(
            args,
            model,
            partial(target_loss, label_smoothing=args.label_smoothing_factor),
            training_rows(train),
            tokenizer,
            inputs=inputs,
            samples=len(train),
            columns=train.kept_columns,
            next_block=next_block,
            evaluate=evaluate_validation,
        )

    # Results
    def predict() -> Evaluation:
        rows = batches(test, args.per_device_eval_batch_size, args.longest_generated)
        return score(test, rows, "test")

    session.finish(args, evaluate=evaluate_validation, predict=predict, final_eval=final_eval)


if __name__ == "__main__":
    main()
