"""What the machine refuses, a full disk or a place that may not be written: told, nothing lost."""

import errno
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny

from stages.errors import REFUSALS, command


@contextmanager
def small_disk(folder: Path, size: str):
    """`folder` on a disk of that size, which only root can arrange."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        refused = subprocess.run(mount, capture_output=True, text=True, check=False).stderr
    except OSError as error:
        refused = str(error)
    if refused:
        pytest.skip(f"no small disk can be arranged here ({refused.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def flags(files, checkpoint, output: Path, *more) -> list[str]:
    return [
        f"--model_name_or_path={checkpoint()}",
        f"--train_file={files / 'text.txt'}",
        f"--validation_file={files / 'text.txt'}",
        f"--output_dir={output}",
        "--do_train",
        "--overwrite_output_dir",
        "--checkpoint_seconds=0",
        *tiny.TRAINING,
        *tiny.OWN["mlm"],
        *more,
    ]


def test_a_full_disk_at_the_weights(files, checkpoint, tmp_path):
    """The weights that were there stay whole; with room again the command goes on."""
    whole = tmp_path / "whole"
    tiny.call("run_mlm_flax", *flags(files, checkpoint, whole))
    runs = f"--run_dir={tmp_path / 'runs'}"
    with small_disk(tmp_path / "disk", "16m") as disk:
        tiny.call("run_mlm_flax", *flags(files, checkpoint, disk, "--max_steps=1", runs))
        # What is left would not hold the weights once more.
        free = os.statvfs(disk)
        room = (whole / "model.safetensors").stat().st_size // 2
        (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_bsize - room))
        kept = (disk / "model.safetensors").read_bytes()
        line = tiny.refused("run_mlm_flax", *flags(files, checkpoint, disk, runs))
        assert line.startswith(f"error: {disk / 'model.safetensors'}: No space left on device; ")
        assert line.endswith(REFUSALS[errno.ENOSPC])
        assert (disk / "model.safetensors").read_bytes() == kept
        assert not list(disk.glob(".*")), "half a file is left behind"
    found = tiny.call("run_mlm_flax", *flags(files, checkpoint, tmp_path / "again", runs))
    assert "goes on from step" in found
    for name in ("model.safetensors", "train_results.json"):
        assert (tmp_path / "again" / name).read_bytes() == (whole / name).read_bytes()


def test_a_full_disk_at_a_checkpoint(files, checkpoint, tmp_path):
    """The training ends as without one, and the line says what is missing."""
    tiny.call("run_mlm_flax", *flags(files, checkpoint, tmp_path / "whole"))
    with small_disk(tmp_path / "disk", "64k") as disk:
        run = f"--run_dir={disk / 'runs'}"
        out = tiny.call("run_mlm_flax", *flags(files, checkpoint, tmp_path / "cut", run))
    assert "No space left on device" in out
    assert "there is no checkpoint to go on from" in out
    for name in ("model.safetensors", "train_results.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("number", REFUSALS)
def test_what_is_refused_is_one_line(number, capsys):
    @command
    def main():
        raise OSError(number, os.strerror(number), "models/it")

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    line = f"error: models/it: {os.strerror(number)}; {REFUSALS[number]}\n"
    assert capsys.readouterr().err == line


def test_other_errors_of_the_system_keep_their_traceback():
    @command
    def main():
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output error"):
        main()
