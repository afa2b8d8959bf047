"""Fine-tune and evaluate with plain PyTorch: the other side of `compare.py`.

    python pytorch.py run_flax_ner --model_name_or_path FOLDER ... (the flags of our script)

Rows, their batches and order, the schedule and the metrics are ours. The model, gradients, AdamW
and clipping are those of transformers and torch. Writes `eval_results.json` into `--output_dir`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

from stages.core.arguments import parse
from stages.data.encode import Encoder
from stages.data.prefetch import prefetch
from stages.tasks.registry import arguments_class
from stages.training.loop import count_steps, training_batches
from stages.training.session import load_tokenizer

TASKS = {
    "run_flax_ner": ("ner", "AutoModelForTokenClassification"),
    "run_flax_glue": ("glue", "AutoModelForSequenceClassification"),
    "run_qa": ("qa", "AutoModelForQuestionAnswering"),
}


def tensors(batch) -> dict[str, torch.Tensor]:
    """A host batch as tensors."""
    return {
        name: torch.from_numpy(array).long()
        for name, array in batch.arrays.items()
        if name != "row_mask"
    }


def fit(model, batches, args) -> None:
    """The plain loop: AdamW without decay on biases and norms, linear schedule, clipping to 1."""
    steps = count_steps(args, batches)
    groups = [
        {
            "params": [it for it in model.parameters() if it.ndim > 1],
            "weight_decay": args.weight_decay,
        },
        {"params": [it for it in model.parameters() if it.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=args.learning_rate, eps=args.adam_epsilon, fused=True)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, args.warmup_steps, steps)
    model.train()
    for batch in prefetch(training_batches(batches, steps), tensors):
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)


def outputs(model, batches):
    """Indices and outputs, batch by batch."""
    model.eval()
    labels = ("labels", "start_positions", "end_positions")
    with torch.inference_mode():
        for batch in batches.evaluation():
            values = {name: it for name, it in tensors(batch).items() if name not in labels}
            yield batch.indices, model(**values)


def ner(args, tokenizer, make_model):
    """Tags of words, from logits of tokens."""
    from stages.tasks.ner.examples import encode_tags, read_examples
    from stages.tasks.ner.metric import NamedEntities
    from stages.tasks.ner.predict import batch_windows
    from stages.tasks.ner.tags import label_list
    from stages.tasks.ner.windows import MergedTags, tokenize

    train, test = (read_examples(path) for path in (args.train_file, args.validation_file))
    names = label_list(train.tags)
    encoder = Encoder(tokenizer)
    length = args.max_seq_length

    def windows_of(examples):
        return tokenize(
            encoder, examples.tokens, max_seq_length=length,
            labels=encode_tags(examples, names), names=names, label_all_tokens=False,
        )  # fmt: skip

    model = make_model(num_labels=len(names))
    size = args.per_device_train_batch_size
    fit(
        model,
        batch_windows(windows_of(train), tokenizer, length, size, **args.batch_options),
        args,
    )
    windows = windows_of(test)
    best = [np.zeros(0)] * len(windows.sentence)
    size = args.per_device_eval_batch_size
    batches = batch_windows(windows, tokenizer, length, size, **args.batch_options)
    for indices, out in outputs(model, batches):
        for index, tags in zip(indices, out.logits.argmax(-1).numpy(), strict=True):
            if index >= 0:
                best[index] = tags
    found = MergedTags(windows, best, names)
    return model, NamedEntities().compute(predictions=found, references=test.tags)


def glue(args, tokenizer, make_model):
    """Classes of pairs."""
    from stages.tasks.glue.examples import encode_labels, read_examples
    from stages.tasks.glue.labels import label_list
    from stages.tasks.glue.metric import Glue
    from stages.tasks.glue.predict import batch_examples

    def read(path):
        return read_examples(path, regression=False)

    train, test = read(args.train_file), read(args.validation_file)
    names = label_list(train.labels.names)
    encoder = Encoder(tokenizer)
    length = args.max_seq_length

    def batches_of(examples, size):
        labels = encode_labels(examples, names)
        return labels, batch_examples(examples, labels, encoder, length, size, **args.batch_options)

    model = make_model(num_labels=len(names))
    fit(model, batches_of(train, args.per_device_train_batch_size)[1], args)
    labels, batches = batches_of(test, args.per_device_eval_batch_size)
    found = np.zeros(len(labels), np.int64)
    for indices, out in outputs(model, batches):
        real = indices >= 0
        found[indices[real]] = out.logits.argmax(-1).numpy()[real]
    return model, Glue().compute(predictions=found, references=labels)


def qa(args, tokenizer, make_model):
    """Spans, or none."""
    from stages.tasks.qa.answers import find_answers
    from stages.tasks.qa.examples import read_examples
    from stages.tasks.qa.predict import batch_windows, evaluate
    from stages.tasks.qa.windows import tokenize

    train, test = (
        read_examples(path, version_2_with_negative=True)
        for path in (args.train_file, args.validation_file)
    )
    length = args.max_seq_length
    encoder = Encoder(tokenizer)

    def windows_of(examples, labels):
        return tokenize(
            encoder, examples, max_seq_length=length, doc_stride=args.doc_stride, labels=labels
        )

    model = make_model()
    size = args.per_device_train_batch_size
    fit(
        model,
        batch_windows(windows_of(train, True), tokenizer, length, size, **args.batch_options),
        args,
    )
    windows = windows_of(test, False)
    starts = [np.zeros(0)] * len(windows)
    ends = list(starts)
    size = args.per_device_eval_batch_size
    batches = batch_windows(windows, tokenizer, length, size, **args.batch_options)
    for indices, out in outputs(model, batches):
        pairs = zip(indices, out.start_logits.numpy(), out.end_logits.numpy(), strict=True)
        for index, begins, finishes in pairs:
            if index >= 0:
                kept = len(windows.columns["input_ids"][index])
                starts[index], ends[index] = begins[:kept], finishes[:kept]
    answers = find_answers(
        test, windows, starts, ends, version_2_with_negative=True,
        n_best_size=args.n_best_size, max_answer_length=args.max_answer_length,
        null_score_diff_threshold=args.null_score_diff_threshold,
    )  # fmt: skip
    found = evaluate(answers, test, args.null_score_diff_threshold).metrics
    return model, {name.removeprefix("eval_"): value for name, value in found.items()}


def main() -> None:
    """Train, evaluate and write the results."""
    name = sys.argv.pop(1)
    task, auto = TASKS[name]
    args = parse(arguments_class(task), __doc__)
    torch.manual_seed(args.seed)
    tokenizer = load_tokenizer(args, word_lists=task == "ner")

    def make_model(**more):
        return getattr(transformers, auto).from_pretrained(args.model_name_or_path, **more)

    model, metrics = globals()[task](args, tokenizer, make_model)
    folder = Path(args.output_dir)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    results = {f"eval_{key}": value for key, value in metrics.items()}
    (folder / "eval_results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
