"""What must not change the figures: batch sizes, buckets, devices, a repeat; what is compiled."""

import importlib
import json

import numpy as np
import pytest
from support import scripts

from stages import models
from stages.data.encode import Encoder
from stages.tasks.glue import loss as glue_loss
from stages.tasks.glue import predict as glue_predict
from stages.tasks.glue.examples import encode_labels
from stages.tasks.glue.examples import read_examples as read_glue
from stages.tasks.glue.labels import label_list
from stages.tasks.mlm.loss import score as score_masked
from stages.tasks.mlm.predict import batch_rows, text_around
from stages.tasks.mlm.rows import Masker, pack
from stages.tasks.ner import loss as ner_loss
from stages.tasks.ner import predict as ner_predict
from stages.tasks.ner.examples import encode_tags
from stages.tasks.ner.examples import read_examples as read_ner
from stages.tasks.ner.tags import label_list as tag_list
from stages.tasks.ner.windows import tokenize as ner_windows
from stages.tasks.qa import loss as qa_loss
from stages.tasks.qa import predict as qa_predict
from stages.tasks.qa.examples import read_examples as read_qa
from stages.tasks.qa.windows import tokenize as qa_windows
from stages.tasks.text.documents import read_texts, token_bytes
from stages.tasks.text.evaluate import evaluate_language
from stages.training import batches as made_in
from stages.training.step import make_eval_step

SIZES, BUCKETS, LENGTH = (1, 3, 8), (1, 4), 24
# Of a long context most windows are full: a little more room leaves some that are not.
WINDOW = 32
LOSSES = {
    "eval_loss", "eval_perplexity", "eval_bits_per_byte",
    "eval_best_exact_thresh", "eval_best_f1_thresh",
}  # fmt: skip


def mlm(folder, tokenizer, file):
    model = models.from_pretrained(folder, "masked_lm")
    step, sizes = make_eval_step(model, score_masked), token_bytes(tokenizer)
    rows = [
        np.array(ids)
        for ids in pack(Encoder(tokenizer), read_texts(file), LENGTH, line_by_line=True)
    ]

    def measure(size, buckets):
        batches = batch_rows(rows, tokenizer, LENGTH, size, buckets=buckets)
        masker = Masker(tokenizer, 0.3, 1)
        found = evaluate_language(
            step, model, batches, tokenizer, sizes, text_around, masker.evaluation
        )
        return found.metrics, batches

    return measure, step


def glue(folder, tokenizer, file):
    model = models.from_pretrained(folder, "sequence_classification")
    step = make_eval_step(model, glue_loss.score_classes)
    examples = read_glue(file)
    names = label_list(examples.labels.names)
    labels = encode_labels(examples, names)

    def measure(size, buckets):
        batches = glue_predict.batch_examples(
            examples, labels, Encoder(tokenizer), LENGTH, size, buckets=buckets
        )
        found = glue_predict.evaluate(step, model, batches, examples, labels, names)
        return found.metrics, batches

    return measure, step


def ner(folder, tokenizer, file):
    examples = read_ner(file)
    names = tag_list(examples.tags)
    config = models.load_config(folder)
    config.id2label = dict(enumerate(names))
    model = models.from_pretrained(folder, "token_classification", config=config)
    step = make_eval_step(model, ner_loss.score)
    windows = ner_windows(
        Encoder(tokenizer),
        examples.tokens,
        max_seq_length=LENGTH,
        labels=encode_tags(examples, names),
    )

    def measure(size, buckets):
        batches = ner_predict.batch_windows(windows, tokenizer, LENGTH, size, buckets=buckets)
        found = ner_predict.evaluate(step, model, batches, windows, examples, names, by_type=False)
        return found.metrics, batches

    return measure, step


def qa(folder, tokenizer, file):
    model = models.from_pretrained(folder, "question_answering")
    step = make_eval_step(model, qa_loss.score)
    examples = read_qa(file, version_2_with_negative=True)
    windows = qa_windows(
        Encoder(tokenizer), examples, max_seq_length=WINDOW, doc_stride=4, labels=False
    )
    assert len(windows) > len(examples)

    def measure(size, buckets):
        batches = qa_predict.batch_windows(windows, tokenizer, WINDOW, size, buckets=buckets)
        answers = qa_predict.predict(
            step, model, batches, windows, examples,
            version_2_with_negative=True, max_answer_length=8,
        )  # fmt: skip
        found = qa_predict.evaluate(answers, examples, 0.0).metrics
        return {**found, "answers": "|".join(answers.texts)}, batches

    return measure, step


@pytest.mark.parametrize(
    "task",
    [glue, qa, *(pytest.param(task, marks=pytest.mark.slow) for task in (mlm, ner))],
    ids=lambda task: task.__name__,
)
def test_evaluation_is_the_same_however_rows_are_batched(task, tokenizer, files, checkpoint):
    measure, step = task(checkpoint(), tokenizer, str(files / scripts.FILES[task.__name__]))
    expected, batches = measure(1, 4)
    assert len(batches.buckets) > 1
    shapes = set()
    for size in SIZES:
        for buckets in BUCKETS:
            found, batches = measure(size, buckets)
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
    inner = made_in.Batches

    def batch(*args, **options):
        shapes.append(inner(*args, **options))
        return shapes[-1]

    monkeypatch.setattr(made_in, "Batches", batch)
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
    "task", ["glue", *(pytest.param(task, marks=pytest.mark.slow) for task in ("mlm", "ner", "qa"))]
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
