"""Many rows are tokenised in separate processes: the same bytes as in a thread."""

import json

import pytest
from support import scripts, toy_shards

from stages.data import encode
from stages.data.writer import CHUNK

TASKS = [
    pytest.param(task, marks=() if task == "qa" else pytest.mark.slow(seconds=15))
    for task in toy_shards.FLAGS
]


def kept(folder) -> dict[str, bytes]:
    return {
        name.rpartition("-")[0]: content
        for name, content in scripts.tree(folder).items()
        if name.endswith("rows.arrow")
    }


@pytest.mark.parametrize("task", TASKS)
def test_the_same_tokens(task, checkpoint, tmp_path, monkeypatch):
    rows = tmp_path / "train.jsonl"
    with rows.open("w") as file:
        for row in toy_shards.rows_of(task, 2 * CHUNK + 100):
            file.write(json.dumps(row) + "\n")
    model = checkpoint(toy_shards.FAMILIES.get(task, "bert"))
    stores = []
    for number, least in enumerate((10**6, 1)):
        monkeypatch.setattr(encode, "ROWS_FOR_PROCESSES", least)
        scripts.call(
            scripts.SCRIPTS[task],
            f"--model_name_or_path={model}",
            f"--train_file={rows}",
            f"--output_dir={tmp_path / 'out'}",
            f"--cache_dir={tmp_path / f'cache{number}'}",
            "--preprocessing_num_workers=2",
            "--do_train",
            "--max_steps=1",
            "--overwrite_output_dir",
            *toy_shards.FLAGS[task],
        )
        stores.append(kept(tmp_path / f"cache{number}"))
    assert len(stores[0]) > 1
    assert stores[0] == stores[1]


def test_a_refused_row_is_named_by_its_place(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "ROWS_FOR_PROCESSES", 1)
    rows = tmp_path / "train.jsonl"
    with rows.open("w") as file:
        for row in toy_shards.rows_of("qa", 20):
            row["question"] = "who " * (70 if row["id"] == "7" else 3)
            file.write(json.dumps(row) + "\n")
    message = scripts.refused(
        "run_qa", f"--model_name_or_path={checkpoint()}", f"--train_file={rows}",
        f"--output_dir={tmp_path / 'out'}", "--do_train", "--max_seq_length=40",
        "--doc_stride=8", "--preprocessing_num_workers=2", f"--cache_dir={tmp_path / 'cache'}",
    )  # fmt: skip
    assert message.startswith(f"error: {rows}, question '7': with 64 tokens of question")
    assert list(kept(tmp_path / "cache")) == ["flaxmill/rows/qa"]
