"""Summarization: a short text for a long one, by an encoder-decoder.

    python -m stages.run_summarization_flax --model_name_or_path FOLDER --train_file a.json \\
        --validation_file b.json --do_train --do_eval --predict_with_generate --output_dir out
"""

from functools import partial

import numpy as np

from stages.core.arguments import parse
from stages.core.errors import InputError, command
from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.tables import read_table
from stages.generation import GenerationOptions, decode_batch, generate_rows, make_generate_step
from stages.models.loading import check_vocabulary, load_model, load_tokenizer, save_model
from stages.tasks.seq2seq import mean_loss, score_targets, target_loss
from stages.tasks.summarization.arguments import SummarizationArguments
from stages.tasks.summarization.examples import Examples, read_examples
from stages.tasks.summarization.metric import summary_metrics
from stages.tasks.summarization.tokens import check_prefix, record_prefix, tokenize
from stages.training.best import Evaluation
from stages.training.results import push_to_hub, write_results
from stages.training.session import inputs, make_batches, start, train_model
from stages.training.step import make_eval_step


def generation_options(model, args) -> GenerationOptions:
    """How summaries are generated: as the flags say, else as the model's folder does."""
    given = args.generation_options()
    options = GenerationOptions.from_model(model, max_length=args.longest_generated, **given)
    if "length_penalty" in given and options.num_beams == 1:
        raise InputError("--length_penalty is for beam search; add --num_beams, or leave it out")
    return options


def prediction_rows(examples: Examples, predictions: list[str]) -> list[dict]:
    """What goes into the predictions file: the document, its summary if known, the prediction."""
    rows = []
    for index, prediction in enumerate(predictions):
        row = {"document": examples.documents[index]}
        if examples.summaries is not None:
            row["summary"] = examples.summaries[index]
        rows.append({**row, "prediction": prediction})
    return rows


@command
def main() -> None:
    """Train, evaluate, predict: as the flags say."""
    args = parse(SummarizationArguments, __doc__)
    start(args)

    # Data
    found = inputs(args)

    def read(path: str, limit: int | None, needs_summaries: bool = True) -> Examples:
        return read_examples(
            read_table(path).first(limit),
            text_column=args.text_column,
            summary_column=args.summary_column,
            needs_summaries=needs_summaries,
        )

    train = read(*found["train"]) if "train" in found else None
    validation = read(*found["validation"]) if "validation" in found else None
    test = read(*found["test"], needs_summaries=False) if "test" in found else None
    if test is not None and test.summaries is None and not args.predict_with_generate:
        raise InputError(
            f"{test.table.path}: no summaries to score; add --predict_with_generate to write some"
        )

    # Tokenizer and model
    tokenizer = load_tokenizer(args)
    model = load_model(args, "seq2seq_lm")
    check_vocabulary(tokenizer, model.config)
    prefix = args.source_prefix or ""
    if not args.new_weights:
        check_prefix(model.config, prefix, args.model_name_or_path)
    eval_step = make_eval_step(model, score_targets)
    if args.predict_with_generate:
        generate_step = make_generate_step(model, generation_options(model, args))

    def batches_of(examples: Examples, per_device: int, target_length: int) -> Batches:
        columns = tokenize(
            tokenizer,
            examples,
            prefix=prefix,
            max_source_length=args.max_source_length,
            max_target_length=target_length,
        )
        return make_batches(
            args,
            columns,
            per_device,
            padding={"input_ids": tokenizer.pad_token_id, "labels": IGNORE_INDEX},
            max_length=args.max_source_length,
            targets=("labels",) if "labels" in columns else (),
        )

    def evaluate(examples: Examples, batches: Batches, split: str) -> Evaluation:
        """Metrics under their names in the results, and the summaries if any are generated."""
        metrics, predictions = {"samples": len(examples)}, None
        if examples.summaries is not None:
            metrics["loss"] = mean_loss(eval_step, model, batches)
        if args.predict_with_generate:
            rows = generate_rows(generate_step, model, batches)
            predictions = [text.strip() for text in decode_batch(tokenizer, rows)]
            written = [np.count_nonzero(row != tokenizer.pad_token_id) for row in rows]
            metrics["gen_len"] = float(np.mean(written))
            if examples.summaries is not None:
                metrics |= summary_metrics(predictions, examples.summaries, examples.documents)
        metrics = {f"{split}_{name}": value for name, value in metrics.items()}
        return Evaluation(metrics, predictions)

    def report(evaluation: Evaluation, examples: Examples, split: str) -> None:
        metrics, predictions = evaluation
        rows = None if predictions is None else prediction_rows(examples, predictions)
        write_results(args, split, metrics, rows)

    evaluation = None
    small = args.per_device_eval_batch_size
    if validation is not None:
        validation_batches = batches_of(validation, small, args.longest_generated)

        def evaluation() -> Evaluation:
            return evaluate(validation, validation_batches, "eval")

    # Training
    measured = None
    if args.do_train:
        record_prefix(model.config, prefix)
        measured = train_model(
            args,
            model,
            partial(target_loss, label_smoothing=args.label_smoothing_factor),
            batches_of(train, args.per_device_train_batch_size, args.max_target_length),
            partial(save_model, args, model, tokenizer),
            found=found,
            samples=len(train),
            evaluate=evaluation,
        )

    # Results
    if args.do_eval:
        report(measured or evaluation(), validation, "eval")
    if args.do_predict:
        batches = batches_of(test, small, args.longest_generated)
        report(evaluate(test, batches, "test"), test, "test")
    push_to_hub(args)


if __name__ == "__main__":
    main()
