"""What must not change the figures: batch sizes, buckets, devices, a repeat; what is compiled."""

import importlib
import json

import numpy as np
import pytest
from support import scripts

from stages import models, run_flax_glue, run_flax_ner, run_mlm_flax, run_qa
from stages.tasks.glue.examples import encode_labels, label_list
from stages.tasks.glue.examples import read_examples as read_glue
from stages.tasks.mlm.rows import Masker, pack
from stages.tasks.ner.examples import encode_tags
from stages.tasks.ner.examples import label_list as tag_list
from stages.tasks.ner.examples import read_examples as read_ner
from stages.tasks.ner.metric import NamedEntities
from stages.tasks.ner.windows import tokenize as ner_windows
from stages.tasks.qa.examples import read_examples as read_qa
from stages.tasks.qa.windows import tokenize as qa_windows
from stages.tasks.registry import arguments_class
from stages.tasks.text.documents import read_documents, token_bytes
from stages.tasks.text.evaluate import evaluate_language
from stages.training.step import make_eval_step

SIZES, BUCKETS, LENGTH = (1, 3, 8), (1, 4), 24
# Of a long context most windows are full: a little more room leaves some that are not.
WINDOW = 32
LOSSES = {
    "eval_loss", "eval_perplexity", "eval_bits_per_byte",
    "eval_best_exact_thresh", "eval_best_f1_thresh",
}  # fmt: skip


def options(task, buckets):
    more = {"max_answer_length": 8, "version_2_with_negative": True} if task == "qa" else {}
    return arguments_class(task)(
        model_name_or_path="m", validation_file="v", output_dir="o", do_eval=True,
        length_buckets=buckets, length_bucket_saving=0, seed=1, **more,
    )  # fmt: skip


def mlm(folder, tokenizer, file):
    model = models.from_pretrained(folder, "masked_lm")
    step, sizes = make_eval_step(model, run_mlm_flax.score), token_bytes(tokenizer)
    rows = pack(tokenizer, read_documents(file), LENGTH, line_by_line=True)

    def measure(size, args):
        batches = run_mlm_flax.batches_of(rows, tokenizer, args, size, LENGTH)
        masker = Masker(tokenizer, 0.3, 1)
        return evaluate_language(step, model, batches, sizes, masker.evaluation).metrics, batches

    return measure, step


def glue(folder, tokenizer, file):
    model = models.from_pretrained(folder, "sequence_classification")
    step = make_eval_step(model, run_flax_glue.make_score(False))
    examples = read_glue(file)
    names = label_list(examples.labels)
    labels = encode_labels(examples, names)

    def measure(size, args):
        batches = run_flax_glue.batches_of(examples, labels, tokenizer, args, size, LENGTH)
        logits, loss = run_flax_glue.predict(step, model, batches)
        return run_flax_glue.evaluate(logits, loss, labels, examples, names, args), batches

    return measure, step


def ner(folder, tokenizer, file):
    examples = read_ner(file)
    names = tag_list(examples.tags)
    config = models.load_config(folder)
    config.id2label = dict(enumerate(names))
    model = models.from_pretrained(folder, "token_classification", config=config)
    step = make_eval_step(model, run_flax_ner.score)
    windows = ner_windows(
        tokenizer, examples.tokens, max_seq_length=LENGTH, labels=encode_tags(examples, names)
    )

    def measure(size, args):
        batches = run_flax_ner.batches_of(windows, tokenizer, args, size, LENGTH)
        found, loss = run_flax_ner.predict(step, model, batches, windows, names)
        metrics = NamedEntities().compute(predictions=found, references=examples.tags)
        return {**metrics, "eval_loss": loss}, batches

    return measure, step


def qa(folder, tokenizer, file):
    model = models.from_pretrained(folder, "question_answering")
    step = make_eval_step(model, run_qa.score)
    examples = read_qa(file, version_2_with_negative=True)
    windows = qa_windows(tokenizer, examples, max_seq_length=WINDOW, doc_stride=4, labels=False)
    assert len(windows) > len(examples)

    def measure(size, args):
        batches = run_qa.batches_of(windows, tokenizer, args, size, WINDOW)
        answers = run_qa.answer(step, model, examples, windows, batches, args)
        found = run_qa.evaluate(answers, examples, args)
        return {**found, "answers": "|".join(answers.texts)}, batches

    return measure, step


@pytest.mark.parametrize(
    "task",
    [glue, qa, *(pytest.param(task, marks=pytest.mark.slow) for task in (mlm, ner))],
    ids=lambda task: task.__name__,
)
def test_evaluation_is_the_same_however_rows_are_batched(task, tokenizer, files, checkpoint):
    measure, step = task(checkpoint(), tokenizer, str(files / scripts.FILES[task.__name__]))
    expected, batches = measure(1, options(task.__name__, 4))
    assert len(batches.buckets) > 1
    shapes = set()
    for size in SIZES:
        for buckets in BUCKETS:
            found, batches = measure(size, options(task.__name__, buckets))
            shapes |= {batch.arrays["input_ids"].shape for batch in batches.evaluation()}
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                wanted = pytest.approx(value, rel=1e-5) if name in LOSSES else value
                assert found[name] == wanted, (name, size, buckets)
    # Each shape was compiled once, whatever came between.
    assert step._cache_size() == len(shapes)


@pytest.mark.parametrize(
    ("task", "buckets"),
    [
        ("glue", 2),
        *(pytest.param(task, 1, marks=pytest.mark.slow) for task in ("mlm", "ner", "qa")),
    ],
)
def test_a_run_compiles_a_program_a_bucket(task, buckets, checkpoint, files, tmp_path, monkeypatch):
    """Training: one program a bucket; evaluation the same, for all evaluations of the run."""
    script = scripts.SCRIPTS[task]
    module = importlib.import_module(f"stages.{script}")
    steps, shapes = [], []

    def make(model, score):
        steps.append(make_eval_step(model, score))
        return steps[-1]

    monkeypatch.setattr(module, "make_eval_step", make)
    inner = module.batches_of

    def batch(*args):
        shapes.append(inner(*args))
        return shapes[-1]

    monkeypatch.setattr(module, "batches_of", batch)
    file = files / scripts.FILES[task]
    scripts.call(
        script,
        f"--model_name_or_path={checkpoint()}",
        f"--train_file={file}",
        f"--validation_file={file}",
        f"--output_dir={tmp_path}",
        "--do_train",
        "--do_eval",
        *scripts.TRAINING,
        "--eval_steps=1",
        f"--length_buckets={buckets}",
        "--length_bucket_saving=0",
        *scripts.OWN[task],
    )
    times = json.loads((tmp_path / "runs/times.json").read_text())
    # Both files are the same here, and so are the buckets, all of which three batches meet.
    assert {len(batches.buckets) for batches in shapes} == {buckets}
    assert times["compilations"] <= buckets
    assert len(steps) == 1
    assert steps[0]._cache_size() <= buckets


@pytest.mark.parametrize(
    "task", ["glue", "mlm", *(pytest.param(task, marks=pytest.mark.slow) for task in ("ner", "qa"))]
)
def test_the_same_seed_gives_the_same_bytes(task, trained, files, checkpoint, tmp_path):
    file = files / scripts.FILES[task]
    common = [
        f"--model_name_or_path={checkpoint()}", f"--train_file={file}", f"--validation_file={file}",
        "--do_train", *scripts.TRAINING, *scripts.OWN[task],
    ]  # fmt: skip
    scripts.call(scripts.SCRIPTS[task], *common, f"--output_dir={tmp_path / 'again'}")

    def weights(folder):
        return (folder / "model.safetensors").read_bytes()

    assert weights(tmp_path / "again") == weights(trained(task))
    for name in ("train.csv", "validation.csv"):
        curve = (tmp_path / "again/runs" / name).read_bytes()
        assert curve == (trained(task) / "runs" / name).read_bytes()


@pytest.mark.slow
def test_four_devices_give_the_numbers_of_one(four_devices, trained):
    """A batch of four rows, whole or one on each of four devices; with dropout."""
    for task in ("glue", "mlm"):
        one, four = trained(task), four_devices("scripts") / task
        curves = [
            np.loadtxt(folder / "runs/train.csv", delimiter=",", skiprows=1)
            for folder in (one, four)
        ]
        assert len(curves[0]) == 3
        np.testing.assert_allclose(curves[1], curves[0], rtol=1e-5)
        assert scripts.results(four).keys() == scripts.results(one).keys()
        for name, value in scripts.results(one).items():
            wanted = pytest.approx(value, rel=1e-5) if name in LOSSES else value
            assert scripts.results(four)[name] == wanted
        times = json.loads((four / "runs/times.json").read_text())
        assert times["devices"] == 4
        assert times["compilations"] == 1
