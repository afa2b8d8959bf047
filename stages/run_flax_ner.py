"""Named-entity recognition: a tag for every word of a sentence.

    python -m stages.run_flax_ner --model_name_or_path FOLDER --train_file a.json \\
        --validation_file b.json --do_train --do_eval --output_dir out
"""

from functools import partial

from stages.core.errors import command
from stages.data.batching import Batches
from stages.data.cache import UNCACHED, RowCache
from stages.data.encode import Encoder
from stages.data.shapes import Shapes
from stages.data.tables import Table
from stages.models.loading import max_length
from stages.tasks.encoders import match_labels, pretrained_labels, training_labels
from stages.tasks.ner import predict as ner
from stages.tasks.ner.arguments import NerArguments
from stages.tasks.ner.examples import Examples, encode_tags, read_examples
from stages.tasks.ner.loss import loss, score
from stages.tasks.ner.tags import label_list
from stages.tasks.ner.windows import Windows, tokenize
from stages.training import session
from stages.training.best import Evaluation
from stages.training.inputs import input_files, read_input, row_cache
from stages.training.step import make_eval_step

HEAD = "token_classification"


@command
def main() -> None:
    """Train, evaluate and predict, as the flags say."""
    args = session.start(NerArguments, __doc__)

    # Data
    inputs = input_files(args)
    cache = row_cache(args)
    reader = partial(
        read_examples,
        cache=cache,
        text_column=args.text_column_name,
        label_column=args.label_column_name,
        source_columns=args.source_columns,
    )
    names, _ = pretrained_labels(args, HEAD, "tags")
    train = read_input(inputs.train, reader)
    if train is not None:
        labels = training_labels(args, names, train.classes, label_list(train.tags))
        names = match_labels(names, labels, inputs.train.name, "tag")
    validation = read_input(inputs.validation, reader)
    test = read_input(inputs.test, reader, needs_labels=False)
    if args.plan_file and args.test_file:  # to be evaluated on once it is trained
        encode_tags(reader(args.test_file), names)

    # Model
    tokenizer = session.load_tokenizer(args, word_lists=True)
    model = session.load_model(args, HEAD, tokenizer, labels=names)
    length = max_length(args.max_seq_length, model.config, tokenizer)
    encoder = Encoder(tokenizer)
    eval_step = make_eval_step(model, score)
    batches = partial(
        ner.batch_windows, tokenizer=tokenizer, max_length=length, **args.batch_options
    )

    def windows_of(examples: Examples, labels: bool = True, cache: RowCache = cache) -> Windows:
        return tokenize(
            encoder,
            examples.tokens,
            max_seq_length=length,
            labels=encode_tags(examples, names) if labels else None,
            names=names,
            label_all_tokens=args.label_all_tokens,
            cache=cache,
            rows=examples.store.fingerprint,
        )

    # Training
    evaluate = final_eval = None
    if validation is not None:
        windows = windows_of(validation)
        evaluate = partial(
            ner.evaluate,
            eval_step,
            model,
            batches(windows, rows_per_device=args.per_device_eval_batch_size),
            windows,
            validation,
            names,
            by_type=args.return_entity_level_metrics,
        )
    if args.do_train:
        training_rows = partial(batches, **args.training_batch_options)

        def next_block(table: Table, shapes: Shapes) -> Batches:
            return training_rows(
                windows_of(reader(table, cache=UNCACHED), cache=UNCACHED), shapes=shapes
            )

        final_eval = session.train_model(
            args,
            model,
            loss,
            training_rows(windows_of(train)),
            tokenizer,
            inputs=inputs,
            samples=len(train),
            columns=train.kept_columns,
            next_block=next_block,
            evaluate=evaluate,
        )

    # Results
    def predict() -> Evaluation:
        windows = windows_of(test, labels=False)
        rows = batches(windows, rows_per_device=args.per_device_eval_batch_size)
        tags, _ = ner.predict(eval_step, model, rows, windows, names)
        predictions = partial(ner.prediction_rows, tags, test)
        return Evaluation({"test_samples": len(test)}, predictions)

    session.finish(args, evaluate=evaluate, predict=predict, final_eval=final_eval)


if __name__ == "__main__":
    main()
