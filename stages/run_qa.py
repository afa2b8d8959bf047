"""Extractive question answering: the span of a text that answers a question, or none.

    python -m stages.run_qa --model_name_or_path FOLDER --train_file a.json \\
        --validation_file b.json --version_2_with_negative --do_train --do_eval --output_dir out
"""

from functools import partial

from stages.core.errors import command
from stages.data.batching import Batches
from stages.data.cache import UNCACHED
from stages.data.encode import Encoder
from stages.data.shapes import Shapes
from stages.data.tables import Table
from stages.models.loading import max_length
from stages.models.tokenizers import check_template
from stages.tasks.qa import predict as qa
from stages.tasks.qa.arguments import QaArguments
from stages.tasks.qa.examples import read_examples
from stages.tasks.qa.loss import loss, score
from stages.tasks.qa.windows import tokenize
from stages.training import session
from stages.training.best import Evaluation
from stages.training.inputs import input_files, read_input, row_cache
from stages.training.step import make_eval_step


@command
def main() -> None:
    """Train, evaluate and predict, as the flags say."""
    args = session.start(QaArguments, __doc__)

    # Data
    inputs = input_files(args)
    cache = row_cache(args)
    reader = partial(
        read_examples, cache=cache, version_2_with_negative=args.version_2_with_negative
    )
    train = read_input(inputs.train, reader)
    validation = read_input(inputs.validation, reader)
    test = read_input(inputs.test, reader, needs_answers=False)

    # Model
    tokenizer = session.load_tokenizer(args, needs=("pad", "cls"))
    check_template(tokenizer, pairs=True)
    model = session.load_model(args, "question_answering", tokenizer)
    length = max_length(args.max_seq_length, model.config, tokenizer)
    eval_step = make_eval_step(model, score)
    windows_of = partial(
        tokenize,
        Encoder(tokenizer),
        max_seq_length=length,
        doc_stride=args.doc_stride,
        cache=cache,
    )
    batches = partial(
        qa.batch_windows, tokenizer=tokenizer, max_length=length, **args.batch_options
    )
    answer = partial(
        qa.predict,
        eval_step,
        model,
        version_2_with_negative=args.version_2_with_negative,
        n_best_size=args.n_best_size,
        max_answer_length=args.max_answer_length,
        null_score_diff_threshold=args.null_score_diff_threshold,
    )

    # Training
    evaluate = final_eval = None
    if validation is not None:
        windows = windows_of(validation, labels=False)
        rows = batches(windows, rows_per_device=args.per_device_eval_batch_size)

        def evaluate() -> Evaluation:
            answers = answer(rows, windows, validation)
            return qa.evaluate(answers, validation, args.null_score_diff_threshold)

    if args.do_train:
        training_rows = partial(batches, **args.training_batch_options)

        def next_block(table: Table, shapes: Shapes) -> Batches:
            examples = reader(table, cache=UNCACHED)
            return training_rows(windows_of(examples, labels=True, cache=UNCACHED), shapes=shapes)

        final_eval = session.train_model(
            args,
            model,
            loss,
            training_rows(windows_of(train, labels=True)),
            tokenizer,
            inputs=inputs,
            samples=len(train),
            next_block=next_block,
            evaluate=evaluate,
        )

    # Results
    def predict() -> Evaluation:
        windows = windows_of(test, labels=False)
        rows = batches(windows, rows_per_device=args.per_device_eval_batch_size)
        return Evaluation({"test_samples": len(test)}, answer(rows, windows, test).files)

    session.finish(args, evaluate=evaluate, predict=predict, final_eval=final_eval)


if __name__ == "__main__":
    main()
