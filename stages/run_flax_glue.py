"""Text classification: one sentence or two into classes, or onto a number.

    python -m stages.run_flax_glue --model_name_or_path FOLDER --train_file a.csv \\
        --validation_file b.csv --do_train --do_eval --output_dir out
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
from stages.tasks.encoders import match_labels, pretrained_labels, training_labels
from stages.tasks.glue import predict as glue
from stages.tasks.glue.arguments import GlueArguments
from stages.tasks.glue.examples import Examples, encode_labels, read_examples
from stages.tasks.glue.labels import label_list
from stages.tasks.glue.loss import class_loss, regression_loss, score_classes, score_regression
from stages.training import session
from stages.training.best import Evaluation
from stages.training.inputs import input_files, read_input, row_cache
from stages.training.step import make_eval_step

HEAD = "sequence_classification"


@command
def main() -> None:
    """Train, evaluate and predict, as the flags say."""
    args = session.start(GlueArguments, __doc__)

    # Data
    inputs = input_files(args)
    cache = row_cache(args)
    reader = partial(
        read_examples,
        cache=cache,
        text_column=args.text_column_name,
        text_pair_column=args.text_pair_column_name,
        label_column=args.label_column_name,
        group_column=args.group_column_name,
        task_name=args.task_name,
        source_columns=args.source_columns,
    )
    names, regression = pretrained_labels(args, HEAD)
    train = read_input(inputs.train, reader)
    if train is not None:
        regression = train.regression
        if not regression:
            labels = training_labels(args, names, train.classes, label_list(train.labels.names))
            names = match_labels(names, labels, inputs.train.name)
    validation = read_input(inputs.validation, reader, regression=regression)
    test = read_input(inputs.test, reader, regression=regression, needs_labels=False)
    if args.plan_file and args.test_file:  # to be evaluated on once it is trained
        encode_labels(reader(args.test_file, regression=regression), names)

    # Model
    tokenizer = session.load_tokenizer(args)
    pairs = any(part and part.sentence2 for part in (train, validation, test))
    check_template(tokenizer, pairs=pairs)
    model = session.load_model(args, HEAD, tokenizer, labels=names, regression=regression)
    eval_step = make_eval_step(model, score_regression if regression else score_classes)
    batches = partial(
        glue.batch_examples,
        encoder=Encoder(tokenizer),
        cache=cache,
        max_length=max_length(args.max_seq_length, model.config, tokenizer),
        **args.batch_options,
    )

    # Training
    evaluate = final_eval = None
    if validation is not None:
        labels = encode_labels(validation, names)
        evaluate = partial(
            glue.evaluate,
            eval_step,
            model,
            batches(validation, labels, rows_per_device=args.per_device_eval_batch_size),
            validation,
            labels,
            names,
            task_name=args.task_name,
        )
    if args.do_train:

        def training_rows(train: Examples, **options) -> Batches:
            labels = encode_labels(train, names)
            return batches(train, labels, **args.training_batch_options, **options)

        def next_block(table: Table, shapes: Shapes) -> Batches:
            examples = reader(table, cache=UNCACHED, regression=regression)
            return training_rows(examples, cache=UNCACHED, shapes=shapes)

        final_eval = session.train_model(
            args,
            model,
            regression_loss if regression else class_loss,
            training_rows(train),
            tokenizer,
            inputs=inputs,
            samples=len(train),
            columns=train.kept_columns,
            next_block=next_block,
            evaluate=evaluate,
        )

    # Results
    def predict() -> Evaluation:
        rows = batches(test, None, rows_per_device=args.per_device_eval_batch_size)
        logits, _ = glue.predict(eval_step, model, rows)
        predictions = partial(glue.prediction_rows, logits, test, names)
        return Evaluation({"test_samples": len(test)}, predictions)

    session.finish(args, evaluate=evaluate, predict=predict, final_eval=final_eval)


if __name__ == "__main__":
    main()
