"""Speech recognition: the words of a clip, by an encoder-decoder on log-mel features.

    python -m stages.run_flax_speech_recognition_seq2seq --model_name_or_path FOLDER \\
        --train_file a.csv --validation_file b.csv --do_train --do_eval \\
        --predict_with_generate --output_dir out
"""

from dataclasses import replace
from functools import partial

from stages.core.errors import command
from stages.data.encode import Encoder
from stages.data.hub import cache_folder
from stages.generation import GenerationOptions, generate_text, make_generate_step
from stages.models.loading import max_length
from stages.tasks.seq2seq import score_targets, target_loss
from stages.tasks.speech.arguments import SpeechArguments
from stages.tasks.speech.augment import SpecAugment
from stages.tasks.speech.examples import Examples, read_examples
from stages.tasks.speech.extractor import load_extractor, log_mel_of
from stages.tasks.speech.features import compute_features
from stages.tasks.speech.predict import batch_rows, evaluate
from stages.tasks.speech.rows import Rows, encode_labels, record_language, select_rows
from stages.training import session
from stages.training.best import Evaluation
from stages.training.inputs import input_files, read_input, row_cache
from stages.training.step import make_eval_step


def generation_options(model, args: SpeechArguments) -> GenerationOptions:
    """The options of generation: those of the flags, else those of the model's folder."""
    options = GenerationOptions.from_model(
        model, language=args.language, task=args.task, num_beams=args.num_beams
    )
    room = model.config.max_target_positions - len(options.decoder_prompt)
    max_new_tokens = args.generation_max_length or min(args.max_label_length, room)
    options = replace(options, max_new_tokens=max_new_tokens)
    options.new_tokens(len(options.decoder_prompt), model.config)  # refuses more than the positions
    return options


@command
def main() -> None:
    """Train, evaluate and predict, as the flags say."""
    args = session.start(SpeechArguments, __doc__)

    # Data
    inputs = input_files(args)
    cache = row_cache(args)
    reader = partial(
        read_examples,
        cache=cache,
        audio_column=args.audio_column_name,
        text_column=args.text_column_name,
        source_columns=args.source_columns,
        lower_case=args.do_lower_case,
        # What comes from a hub names no file of this machine.
        within=cache_folder(args) if args.dataset_name else None,
    )
    train = read_input(inputs.train, reader)
    validation = read_input(inputs.validation, reader)
    test = read_input(inputs.test, reader, needs_texts=False)

    # Model
    tokenizer = session.load_tokenizer(args, needs=("eos",))
    encoder = Encoder(tokenizer)
    extractor = load_extractor(args.model_name_or_path or args.tokenizer_name, **args.hub_options)
    model = session.load_model(args, "speech_seq2seq", tokenizer)
    log_mel = log_mel_of(extractor, model.config)
    options = generation_options(model, args)
    record_language(model, args.language, args.task)
    generate = partial(generate_text, make_generate_step(model, options), model, tokenizer)
    # The default is for larger models, and a trained folder keeps it.
    if args.do_train and "max_label_length" in args.model_fields_set:
        max_length(args.max_label_length, model.config, tokenizer, "max_label_length")
    max_label_length = min(args.max_label_length, model.config.max_target_positions)
    batches = partial(batch_rows, max_length=max_label_length, **args.batch_options)
    score = partial(
        evaluate,
        make_eval_step(model, score_targets),
        model,
        normalisation=args.normalisation,
        spelling=getattr(tokenizer, "english_spelling_normalizer", None),
    )

    def rows_of(examples: Examples) -> Rows:
        labels = None
        if examples.texts is not None:
            labels = encode_labels(encoder, examples.texts, options.decoder_prompt, cache)
        return select_rows(
            examples,
            compute_features(examples, log_mel, cache, args.preprocessing_num_workers),
            labels,
            shortest=args.min_duration_in_seconds,
            longest=args.max_duration_in_seconds,
            heard=log_mel.samples / log_mel.rate,
            most_tokens=max_label_length,
        )

    # Training
    evaluate_validation = final_eval = None
    if validation is not None:
        validation = rows_of(validation)
        validation.print_refusals()
        evaluate_validation = partial(
            score,
            generate if args.predict_with_generate else None,
            validation,
            batches(validation, args.per_device_eval_batch_size),
            "eval",
        )
    if test is not None:
        test = rows_of(test)
        test.print_refusals()
    if args.do_train:
        train = rows_of(train)
        train.print_left_out()
        augment = SpecAugment(model.config, args.seed) if model.config.apply_spec_augment else None
        final_eval = session.train_model(
            args,
            model,
            target_loss,
            batches(train, **args.training_batch_options),
            tokenizer,
            extractor,
            inputs=inputs,
            samples=len(train.kept),
            columns=train.examples.kept_columns,
            evaluate=evaluate_validation,
            **({"prepare": augment} if augment else {}),
        )

    # Results
    def predict() -> Evaluation:
        return score(generate, test, batches(test, args.per_device_eval_batch_size), "test")

    session.finish(args, evaluate=evaluate_validation, predict=predict, final_eval=final_eval)


if __name__ == "__main__":
    main()
