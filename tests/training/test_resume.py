"""A training that was cut off, at any step and in any way, ends like one that was not."""

import errno
import hashlib
import itertools
import json
import os
import re
import signal
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support import table_model

from stages.core.checksums import checksum, folder_checksum
from stages.core.errors import InputError
from stages.training import resume as module
from stages.training.best import Evaluation
from stages.training.loop import fit
from stages.training.resume import ResumeStore

STEPS = 13


class Layer(nnx.Module):
    """The kind of matrix that Muon trains, by the names on its path."""

    def __init__(self):
        self.kernel = nnx.Param(jnp.eye(3) + 0.1)


class Layered(table_model.Table):
    """A table whose logits pass one layer."""

    def __init__(self, rate: float):
        super().__init__(rate)
        self.layers = nnx.List([Layer()])

    def __call__(self, ids, rngs=None):
        return super().__call__(ids, rngs) @ self.layers[0].kernel[...]


class Cut(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(autouse=True)
def _a_state_each_step(monkeypatch):
    monkeypatch.setattr(ResumeStore, "due", lambda self: True)


def train(folder, *, cut_after=None, act=None, loss=table_model.loss, **values):
    """One process's part of a training: `(parameters, what fit gives)`.

    Args:
        folder: for everything that it writes.
        cut_after: the step in which it ends, before that step's state is saved.
        act: called in that step instead of raising `Cut`.
        loss, values: of the loop, and of its arguments.
    """
    values = {
        "max_steps": STEPS, "eval_steps": 2, "logging_steps": 3, "learning_rate": 0.1, "seed": 4,
        "save_steps": 1, "validation_file": "v", **values,
    }  # fmt: skip
    args = table_model.arguments(folder, plots_dir=str(folder / "plots"), **values)
    model = (Layered if args.muon else table_model.Table)(rate=0.3)
    steps: list[int] = []

    def evaluate() -> Evaluation:
        # Falls and rises again; its last digits depend on the weights.
        values = np.asarray(model.bias[...])
        return Evaluation({"eval_loss": float(np.sum((values - 0.15) ** 2))}, values.tolist())

    def save():
        # The first one comes before this process has written any.
        steps.append(steps[-1] + 1 if steps else (store.written or 0) + 1)
        if steps[-1] == cut_after:
            if act is None:
                raise Cut
            act()

    store = ResumeStore(folder / "checkpoints", {"arguments": values}, 0.0)
    try:
        found = fit(
            model, loss, table_model.many_rows(4, seed=1), args, evaluate=evaluate, save=save,
            resume=store,
        )  # fmt: skip
    finally:
        store.wait()  # a thread does not outlive its process; here it would
    store.clear()
    return [np.asarray(array).tobytes() for array in jax.tree.leaves(nnx.state(model))], found


def curves(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "plots").iterdir())}


def steps_kept(folder) -> list[int]:
    return sorted(int(p.name) for p in folder.glob("checkpoints/*/*") if p.name.isdigit())


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"early_stopping_patience": 3, "load_best_model_at_end": True, "max_steps": 40},
        *(
            pytest.param(values, marks=pytest.mark.slow)
            for values in (
                {"gradient_accumulation_steps": 2, "max_steps": 5, "adafactor": True},
                {"load_best_model_at_end": True, "muon": True},
                {"early_stopping_patience": 3, "max_steps": 40},
            )
        ),
    ],
)
def test_the_end_is_the_same_wherever_it_was_cut(tmp_path, values, capsys):
    whole = tmp_path / "whole"
    wanted = train(whole, **values)
    last = max(int(line.split(",")[0]) for line in curves(whole)["train.csv"].decode().split()[1:])
    for cut in (2, 3, last // 2 + 1, last - 1):
        folder = tmp_path / f"cut{cut}"
        with pytest.raises(Cut):
            train(folder, cut_after=cut, **values)
        assert steps_kept(folder)[-1] == cut - 1
        capsys.readouterr()
        assert train(folder, **values) == wanted
        assert f"resuming from step {cut - 1} of" in capsys.readouterr().out
        assert curves(folder) == curves(whole)
        assert not (folder / "checkpoints").exists()


def test_cut_again_and_again(tmp_path):
    wanted = train(tmp_path / "whole", load_best_model_at_end=True)
    folder = tmp_path / "cut"
    for cut in (2, 3, 5, 9, 12):
        with pytest.raises(Cut):
            train(folder, cut_after=cut, load_best_model_at_end=True)
        assert len(steps_kept(folder)) <= module.KEPT
    assert train(folder, load_best_model_at_end=True) == wanted


def send(number: int) -> None:
    """A signal to this process, until it is heard: another thread may be the one that gets it."""
    before = signal.getsignal(number)
    os.kill(os.getpid(), number)
    end = time.monotonic() + 30
    while signal.getsignal(number) is before and time.monotonic() < end:
        time.sleep(0.001)


@pytest.fixture
def _interrupts():
    """What Python does on SIGINT unless it was started to ignore it, as a shell's `&` does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_the_state_and_says_how_to_resume(tmp_path, capfd, number):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as left:
        train(tmp_path / "cut", cut_after=5, act=lambda: send(number))
    assert left.value.code == 128 + number
    assert signal.getsignal(number) is before
    shown = capfd.readouterr()
    assert "stopping after this step" in shown.err
    assert f"stopped after step 5 of {STEPS}; the same command resumes from step 5" in shown.out
    assert train(tmp_path / "cut") == train(tmp_path / "whole")


@pytest.mark.usefixtures("_interrupts")
def test_a_second_signal_stops_immediately(tmp_path):
    def twice():
        send(signal.SIGINT)
        send(signal.SIGINT)  # raises while it waits

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, cut_after=5, act=twice)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(tmp_path, capfd, number):
    """A script's shell starts `make repro &` with SIGINT ignored, so that Ctrl-C spares it."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        ended = train(tmp_path / "signalled", cut_after=5, act=lambda: os.kill(os.getpid(), number))
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
    assert "stopping" not in capfd.readouterr().err
    assert ended == train(tmp_path / "whole")


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "half":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "gone":
        path.unlink()
    else:  # one bit of the last number
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize("name", [module.ARRAYS, module.PLAIN])
@pytest.mark.parametrize("how", ["half", "empty", "gone", "bit"])
def test_a_damaged_state_is_not_used(tmp_path, capsys, name, how):
    if (name, how) == (module.PLAIN, "bit"):
        how = "empty"
    wanted = train(tmp_path / "whole")
    folder = tmp_path / "cut"
    with pytest.raises(Cut):
        train(folder, cut_after=7)
    (last,) = folder.glob("checkpoints/*/6")
    damage(last / name, how)
    capsys.readouterr()
    with pytest.raises(Cut):
        train(folder, cut_after=6)
    out = capsys.readouterr().out
    assert f"{last}: cannot be used" in out
    assert "resuming from step 5" in out
    for step in folder.glob("checkpoints/*/[0-9]*"):
        if step != last:
            damage(step / name, how)
    assert train(folder) == wanted
    assert "resuming" not in capsys.readouterr().out


def test_other_parameters_start_from_the_beginning(tmp_path, capsys):
    folder = tmp_path / "cut"
    with pytest.raises(Cut):
        train(folder, cut_after=7)
    capsys.readouterr()
    with pytest.raises(Cut):
        train(folder, cut_after=3, learning_rate=0.2)
    out = capsys.readouterr().out
    assert "learning_rate 0.1 instead of 0.2; not used, and removed when this one is done" in out
    assert "resuming" not in out
    # Neither is lost to the other.
    assert len(list(folder.glob("checkpoints/*"))) == 2
    assert train(folder) == train(tmp_path / "whole")
    assert "resuming from step 6" in capsys.readouterr().out
    assert not (folder / "checkpoints").exists()


def test_the_checksum_of_a_folder_is_of_names_and_contents(tmp_path):
    for name, content in (("b/x.flac", b"x"), ("a.csv", b"path")):
        file = tmp_path / "clips" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    first = folder_checksum(tmp_path / "clips")
    assert first == hashlib.sha256(b"a.csv" + b"path" + b"b/x.flac" + b"x").hexdigest()
    assert folder_checksum(tmp_path / "clips", "*.csv") == checksum([b"a.csv", b"path"])
    os.replace(tmp_path / "clips/b/x.flac", tmp_path / "clips/b/y.flac")
    assert folder_checksum(tmp_path / "clips") != first


def test_other_rows_start_from_the_beginning(tmp_path, capsys):
    def store() -> ResumeStore:
        return ResumeStore(tmp_path, {"arguments": {}}, 0.0)

    first = store()
    assert first.restore_latest(lambda: {"rows": "a"}) is None
    arrays = {"state": np.ones(2, np.float32)}
    first.save(lambda: {"step": 1, "arrays": arrays, "more": [2]})
    first.wait()
    state = store().restore_latest(lambda: {"rows": "a"})
    np.testing.assert_array_equal(state.pop("arrays").pop("state"), arrays["state"])
    assert state == {"step": 1, "more": [2]}
    assert store().restore_latest(lambda: {"rows": "b"}) is None
    assert "of a run with other rows; not used" in capsys.readouterr().out


def test_a_full_disk_costs_that_state_alone(tmp_path, capsys, monkeypatch):
    real, calls = module.save_file, itertools.count(1)

    def full(arrays, path):
        if next(calls) > 3:
            Path(path).write_bytes(b"a part")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(arrays, path)

    monkeypatch.setattr(module, "save_file", full)
    folder = tmp_path / "cut"
    with pytest.raises(Cut):
        train(folder, cut_after=9)
    out = capsys.readouterr().out
    assert "no state of step 4 ([Errno 28] No space left on device)" in out
    assert "the same command resumes from step 3" in out
    assert steps_kept(folder) == [2, 3]
    # It trains on, to the same end, whatever becomes of its states.
    assert train(folder) == train(tmp_path / "whole")


def test_a_loss_that_is_no_number_keeps_the_last_good_state(tmp_path, capsys):
    def bad(model, batch, rngs):
        total, count = table_model.loss(model, batch, rngs)
        return jnp.where(jnp.abs(model.bias[0] - 0.1) < 0.08, total, jnp.nan), count

    folder = tmp_path / "cut"
    with pytest.raises(InputError, match=r"the loss is nan at step .*try a lower") as stop:
        train(folder, loss=bad)
    step, last = (
        int(re.search(rf"{word} (\d+)", str(stop.value))[1]) for word in ("at step", "of step")
    )
    assert last == step - 1
    kept = folder / "checkpoints"
    assert str(stop.value).endswith(f"is kept in {next(kept.glob(f'*/{last}'))}")
    for path in kept.glob("*/[0-9]*"):
        assert json.loads((path / module.PLAIN).read_text())["logger"]["step"] == int(path.name)
        for array in module.load_file(path / module.ARRAYS).values():
            assert np.isfinite(array).all()


def test_what_is_not_finite_is_not_kept(tmp_path, capsys):
    store = ResumeStore(tmp_path, {"arguments": {}}, 0.0)
    store.restore_latest(dict)
    store.save(lambda: {"step": 3, "arrays": {"state": np.array([1, np.inf], np.float32)}})
    store.wait()
    assert "step 3: not every number is finite" in capsys.readouterr().out
    assert store.resume_hint() == "there is no state to resume from"
    assert store.latest_path() is None


def test_they_take_no_more_than_their_share(tmp_path, monkeypatch):
    monkeypatch.undo()
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    store = ResumeStore(tmp_path, {"arguments": {}}, 10.0)
    now[0] += 9
    assert not store.due()
    now[0] += 1
    assert store.due()

    def slow() -> dict:
        now[0] += 2
        return {"step": 1, "arrays": {"state": np.ones(1, np.float32)}}

    store.restore_latest(dict)
    store.save(slow)
    store.wait()
    now[0] += 39
    assert not store.due()
    now[0] += 1
    assert store.due()
