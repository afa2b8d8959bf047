"""Scripts that train on a stream."""

import pytest
from support import scripts, toy_shards

STREAM = (
    "--streaming", "--do_train", "--overwrite_output_dir", "--per_device_train_batch_size=4",
    "--shuffle_buffer_size=13", "--logging_steps=1", "--learning_rate=1e-2",
)  # fmt: skip


def flags_of(task, checkpoint, shards, out, *more):
    return (
        f"--model_name_or_path={checkpoint(toy_shards.FAMILIES.get(task, 'bert'))}",
        f"--train_file={shards}", f"--output_dir={out}", *STREAM, *toy_shards.FLAGS[task], *more,
    )  # fmt: skip


@pytest.mark.parametrize("task", toy_shards.FLAGS)
def test_each_task(task, checkpoint, tmp_path):
    shards = toy_shards.write_shards(tmp_path / "shards", toy_shards.rows_of(task, 30), 11)
    flags = flags_of(task, checkpoint, shards, tmp_path / "out", "--max_steps=12")
    print(scripts.call(scripts.SCRIPTS[task], *flags))
    print(scripts.results(tmp_path / "out", "train"))
    print((tmp_path/"out/README.md").read_text())
    print((tmp_path/"out/runs/times.json").read_text())
