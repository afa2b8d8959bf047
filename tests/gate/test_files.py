"""Metrics files that cannot be judged, and those that the lock does not record."""

import pytest

from stages.gate.files import parse_metrics


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"eval_accuracy": NaN, "eval_loss": 0}', "NaN is not finite"),
        ('{"eval_accuracy": -Infinity, "eval_loss": 0}', "not finite"),
        ('{"eval_accuracy": 1e999, "eval_loss": 0}', "not finite"),
        ('{"eval_accuracy": 1' + "0" * 400 + ', "eval_loss": 0}', "no finite number"),
        ('{"eval_accuracy": 0.9, "eval_l', "not readable"),
        ("", "not readable"),
        ('{"eval_accuracy": 0.1, "eval_accuracy": 0.9, "eval_loss": 0}', "there twice"),
        ('{"eval_accuracy": 0.9, "eval_loss": {"mean": 0.1}}', "single value"),
        ('{"eval_accuracy": 0.9, "eval_loss": [0.1]}', "single value"),
        ('[{"eval_accuracy": 0.9}]', "one JSON object"),
        ('{"eval_accuracy": true, "eval_loss": 0}', "no finite number but True"),
        ('{"eval_accuracy": "0.9", "eval_loss": 0}', "no finite number but '0.9'"),
        ('{"eval_accuracy": null, "eval_loss": 0}', "no finite number but None"),
        ('{"eval_loss": 0}', "eval_accuracy is missing"),
        (b'{"eval_accuracy": 0.9, "eval_loss": 0, "caf\xe9": 1}', "not readable"),
        ("[" * 100_000, "not readable"),
    ],
)
def test_metrics_file_that_cannot_be_judged(repository, capsys, content, said):
    content = content if isinstance(content, bytes) else content.encode()
    repository.file("glue").write_bytes(content)
    repository.record()
    assert repository.gate() == 2
    error = capsys.readouterr().err
    assert said in error
    assert "metrics/glue.json" in error


def test_file_removed(repository, capsys):
    repository.file("glue").unlink()
    assert repository.gate() == 2
    # Two gates on the one file are one problem.
    assert capsys.readouterr().err.count("metrics/glue.json: missing") == 1


def test_folder_in_place_of_a_file(repository):
    repository.file("glue").unlink()
    repository.file("glue").mkdir()
    assert repository.gate("--no-lock-check") == 2


def test_edited_by_hand(repository, capsys):
    repository.file("glue").write_text('{"eval_accuracy": 0.99, "eval_loss": 0.1}')
    assert repository.gate() == 2
    assert "metrics/glue.json: differs from what dvc.lock records" in capsys.readouterr().err
    assert repository.gate("--task", "clm") == 0
    assert repository.gate("--no-lock-check") == 0


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        (None, "dvc.lock: missing"),
        ("schema: '2.0'\n", "dvc.lock: holds no stages"),
        ("stages: {a: {outs: [{md5: x}]}}\n", "the entry of a is not DVC's"),
        ("stages: {a: {cmd: x}}\n", "no stage in dvc.lock records it"),
        ("<<<<<<< ours\nstages: {}\n", "dvc.lock, line 2: mapping values are not allowed here"),
    ],
)
def test_lock_that_records_nothing(repository, capsys, lock, said):
    path = repository.folder / "dvc.lock"
    path.unlink()
    if lock is not None:
        path.write_text(lock)
    assert repository.gate() == 2
    assert said in capsys.readouterr().err
    assert repository.gate("--no-lock-check") == 0


def test_metrics_are_flat_json():
    assert parse_metrics("x", b'{"a": 1, "b": 2.5, "c": "t"}') == {"a": 1, "b": 2.5, "c": "t"}
