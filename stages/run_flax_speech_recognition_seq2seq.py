"""Speech recognition: the words of a clip, by an encoder-decoder on log-mel features.

    python -m stages.run_flax_speech_recognition_seq2seq --model_name_or_path FOLDER \\
        --train_file a.csv --validation_file b.csv --do_train --do_eval \\
        --predict_with_generate --output_dir out
"""

import copy
from dataclasses import replace

from stages.core.arguments import parse
from stages.core.errors import command
from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.hub import cache_folder
from stages.generation import GenerationOptions, decode_batch, generate_rows, make_generate_step
from stages.models.loading import check_vocabulary, load_model, load_tokenizer, save_model
from stages.tasks.seq2seq import mean_loss, score_targets, target_loss
from stages.tasks.speech.arguments import SpeechArguments
from stages.tasks.speech.augment import SpecAugment
from stages.tasks.speech.examples import Examples, read_examples
from stages.tasks.speech.extractor import load_extractor, log_mel_of
from stages.tasks.speech.features import compute_features
from stages.tasks.speech.metric import WordErrors
from stages.tasks.speech.rows import Rows, encode_labels, select_rows
from stages.training.best import Evaluation
from stages.training.results import push_to_hub, write_results
from stages.training.session import inputs, make_batches, start, train_model
from stages.training.step import make_eval_step


def generation_options(model, args) -> GenerationOptions:
    """How transcripts are generated: as the flags say, else as the model's folder does."""
    options = GenerationOptions.from_model(
        model, language=args.language, task=args.task, num_beams=args.num_beams
    )
    room = model.config.max_target_positions - len(options.decoder_prompt)
    most = args.generation_max_length or min(args.max_label_length, room)
    options = replace(options, max_new_tokens=most)
    options.new_tokens(len(options.decoder_prompt), model.config)  # refuses what the model has not
    return options


def record_language(model, args) -> None:
    """Let the folder that is saved generate as it was trained."""
    config = copy.deepcopy(model.generation_config)
    for name in ("language", "task"):
        if getattr(args, name) is not None:
            setattr(config, name, getattr(args, name))
    model.generation_config = config


def prediction_rows(rows: Rows, predictions: list[str]) -> list[dict]:
    """What goes into the predictions file: the clip, its transcript if known, the prediction."""
    examples = rows.examples
    found = dict(zip(rows.kept, predictions, strict=True))
    lines = []
    for row, name in enumerate(examples.names):
        line = {"path": name}
        if examples.texts is not None:
            line["text"] = examples.texts[row]
        line["prediction"] = found.get(row)
        if row in rows.refused:
            line["refused"] = rows.refused[row]
        lines.append(line)
    return lines


@command
def main() -> None:
    """Train, evaluate, predict: as the flags say."""
    args = parse(SpeechArguments, __doc__)
    start(args)

    # Data
    found = inputs(args)

    def read(path: str, limit: int | None, needs_texts: bool = True) -> Examples:
        examples = read_examples(
            path,
            audio_column=args.audio_column_name,
            text_column=args.text_column_name,
            needs_texts=needs_texts,
        ).first(limit)
        return examples.lower_case() if args.do_lower_case else examples

    train = read(*found["train"]) if "train" in found else None
    validation = read(*found["validation"]) if "validation" in found else None
    test = read(*found["test"], needs_texts=False) if "test" in found else None

    # Tokenizer, features and model
    tokenizer, extractor = load_tokenizer(args), load_extractor(args)
    model = load_model(args, "speech_seq2seq")
    check_vocabulary(tokenizer, model.config)
    log_mel = log_mel_of(extractor, model.config)
    options = generation_options(model, args)
    record_language(model, args)
    most_tokens = min(args.max_label_length, model.config.max_target_positions)
    eval_step = make_eval_step(model, score_targets)
    generate_step = make_generate_step(model, options)
    metric = WordErrors(args.normalisation, getattr(tokenizer, "english_spelling_normalizer", None))

    def rows_of(examples: Examples) -> Rows:
        labels = None
        if examples.texts is not None:
            labels = encode_labels(tokenizer, examples.texts, options.decoder_prompt)
        return select_rows(
            examples,
            compute_features(
                examples, log_mel, cache_folder(args) / "features", args.preprocessing_num_workers
            ),
            labels,
            shortest=args.min_duration_in_seconds,
            longest=args.max_duration_in_seconds,
            heard=log_mel.samples / log_mel.rate,
            most_tokens=most_tokens,
        )

    def batches_of(rows: Rows, per_device: int) -> Batches:
        """Batches of clips with transcripts of about the same length."""
        return make_batches(
            args,
            rows.columns,
            per_device,
            padding={"labels": IGNORE_INDEX},
            max_length=most_tokens,
            by="labels",
        )

    def save() -> None:
        save_model(args, model, tokenizer)
        extractor.save_pretrained(args.output_dir)

    def evaluate(rows: Rows, split: str, generate: bool) -> Evaluation:
        """Metrics under their names in the results, and the transcripts if any are generated."""
        batches = batches_of(rows, args.per_device_eval_batch_size)
        known = rows.examples.texts is not None
        metrics, predictions = {}, None
        if known:
            metrics["loss"] = mean_loss(eval_step, model, batches)
        if generate:
            written = generate_rows(generate_step, model, batches)
            predictions = [text.strip() for text in decode_batch(tokenizer, written)]
        if generate and known:
            metrics |= metric.compute(predictions=predictions, references=rows.texts())
        metrics |= {"samples": len(rows.kept), "refused_samples": len(rows.refused)}
        metrics = {f"{split}_{name}": value for name, value in metrics.items()}
        return Evaluation(metrics, predictions)

    def report(evaluation: Evaluation, rows: Rows, split: str) -> None:
        metrics, predictions = evaluation
        for line in rows.refusals():
            print(f"refused: {line}")
        lines = None if predictions is None else prediction_rows(rows, predictions)
        write_results(args, split, metrics, lines)

    evaluation = None
    if validation is not None:
        validation = rows_of(validation)

        def evaluation() -> Evaluation:
            return evaluate(validation, "eval", args.predict_with_generate)

    if test is not None:
        test = rows_of(test)

    # Training
    measured = None
    if args.do_train:
        train = rows_of(train)
        if train.refused:
            print(
                f"{len(train.refused)} of {len(train.examples)} clips are left out of training, "
                f"the first is {train.refusals()[0]}"
            )
        augment = SpecAugment(model.config, args.seed) if model.config.apply_spec_augment else None
        measured = train_model(
            args,
            model,
            target_loss,
            batches_of(train, args.per_device_train_batch_size),
            save,
            found=found,
            samples=len(train.kept),
            evaluate=evaluation,
            **({"prepare": augment} if augment else {}),
        )

    # Results
    if args.do_eval:
        report(measured or evaluation(), validation, "eval")
    if args.do_predict:
        report(evaluate(test, "test", True), test, "test")
    push_to_hub(args)


if __name__ == "__main__":
    main()
