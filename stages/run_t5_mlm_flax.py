"""Span corruption: trains an encoder-decoder to predict missing spans, and scores it.

    python -m stages.run_t5_mlm_flax --model_name_or_path FOLDER --train_file a.txt \\
        --validation_file b.txt --do_train --do_eval --output_dir out
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from stages.core.errors import command
from stages.data.batching import Batches
from stages.data.cache import UNCACHED
from stages.data.encode import Encoder
from stages.data.shapes import Shapes
from stages.data.tables import Table
from stages.generation import GenerationOptions, generate_rows, make_generate_step
from stages.models.loading import max_length
from stages.tasks.seq2seq import target_loss
from stages.tasks.t5_mlm.arguments import T5MlmArguments
from stages.tasks.t5_mlm.fillings import read_fillings, read_gapped
from stages.tasks.t5_mlm.loss import score
from stages.tasks.t5_mlm.rows import batch_rows, read_rows, text_and_targets_before
from stages.tasks.t5_mlm.spans import Corrupter, sentinels_of
from stages.tasks.text.documents import token_bytes
from stages.tasks.text.evaluate import evaluate_language
from stages.training import session
from stages.training.best import Evaluation
from stages.training.inputs import input_files, read_input, row_cache
from stages.training.step import make_eval_step


@command
def main() -> None:
    """Train, evaluate and predict, as the flags say."""
    args = session.start(T5MlmArguments, __doc__)

    # Model
    tokenizer = session.load_tokenizer(args, needs=("sentinels", "pad", "eos"))
    sentinels = sentinels_of(tokenizer)
    model = session.load_model(args, "seq2seq_lm", tokenizer)

    # Data
    inputs = input_files(args)
    length = max_length(args.max_seq_length, model.config, tokenizer)
    eval_corrupter, train_corrupter = (
        Corrupter(tokenizer, length, probability, args.mean_noise_span_length, args.seed)
        for probability in (args.mlm_probability, args.train_probability)
    )
    reader = partial(
        read_rows,
        encoder=Encoder(tokenizer),
        cache=row_cache(args),
        name=args.dataset_name,
        **args.columns,
    )
    train = read_input(inputs.train, reader, row_length=train_corrupter.row_length)
    validation = read_input(inputs.validation, reader, row_length=eval_corrupter.row_length)
    test = read_input(inputs.test, read_gapped, sentinels=sentinels, **args.columns)
    batches = partial(batch_rows, tokenizer=tokenizer, **args.batch_options)

    # Training
    evaluate = final_eval = None
    if validation is not None:
        evaluate = partial(
            evaluate_language,
            make_eval_step(model, score),
            model,
            batches(
                validation,
                full_length=eval_corrupter.row_length,
                rows_per_device=args.per_device_eval_batch_size,
            ),
            tokenizer,
            token_bytes(tokenizer, blanks=True),
            text_and_targets_before,
            eval_corrupter.evaluation,
        )
    if args.do_train:
        row_length = train_corrupter.row_length
        training_rows = partial(batches, full_length=row_length, **args.training_batch_options)

        def next_block(table: Table, shapes: Shapes) -> Batches:
            return training_rows(
                reader(table, limit=None, row_length=row_length, cache=UNCACHED), shapes=shapes
            )

        final_eval = session.train_model(
            args,
            model,
            target_loss,
            training_rows(train),
            tokenizer,
            inputs=inputs,
            samples=len(train),
            next_block=next_block,
            evaluate=evaluate,
            prepare=train_corrupter.training,
        )

    # Results
    def predict() -> Evaluation:
        rows = [np.array(ids, np.int32) for ids in tokenizer(test, verbose=False)["input_ids"]]
        rows = batches(rows, full_length=None, rows_per_device=args.per_device_eval_batch_size)
        options = GenerationOptions.from_model(
            model, max_new_tokens=args.max_new_tokens, num_beams=args.num_beams
        )
        written = generate_rows(make_generate_step(model, options), model, rows)

        def predictions() -> Iterator[dict]:
            for text, ids in zip(test, written, strict=True):
                yield read_fillings(text, ids, sentinels, tokenizer)

        return Evaluation({"test_samples": len(test)}, predictions)

    session.finish(args, evaluate=evaluate, predict=predict, final_eval=final_eval)


if __name__ == "__main__":
    main()
