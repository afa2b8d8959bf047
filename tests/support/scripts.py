"""How tests call a script: in this process, on the toy data; and what it leaves."""

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from stages.tasks.registry import arguments_class

SCRIPTS = {
    "mlm": "run_mlm_flax",
    "glue": "run_flax_glue",
    "ner": "run_flax_ner",
    "qa": "run_qa",
    "clm": "run_clm_flax",
    "t5_mlm": "run_t5_mlm_flax",
    "summarization": "run_summarization_flax",
    "speech": "run_flax_speech_recognition_seq2seq",
}
ENCODER_TASKS = ("mlm", "glue", "ner", "qa")
# Of each task that the fixture `trained` trains: the training file, that to predict if it is
# another one, the model to start from, and the flags that it needs.
FILES = {
    "mlm": "text.txt", "glue": "pairs.csv", "ner": "tags.json", "qa": "nested.json",
    "clm": "text.txt", "t5_mlm": "text.txt", "summarization": "summaries.json", "speech": "clips",
}  # fmt: skip
TEST_FILES = {"mlm": "masked.txt", "t5_mlm": "gaps.txt"}
FAMILIES = {"clm": "gpt2", "t5_mlm": "t5", "summarization": "t5", "speech": "whisper"}
OWN = {
    "mlm": (),
    "glue": (),
    "ner": (),
    "qa": ("--version_2_with_negative", "--doc_stride=4"),
    "clm": ("--block_size=24", "--max_new_tokens=4"),
    "t5_mlm": ("--max_new_tokens=6",),
    "summarization": (
        "--predict_with_generate", "--source_prefix=summarize: ", "--max_source_length=24",
        "--max_target_length=6", "--per_device_train_batch_size=3",
    ),
    "speech": ("--predict_with_generate", "--max_label_length=8"),
}  # fmt: skip
TRAINING = (
    "--overwrite_output_dir",
    "--per_device_train_batch_size=4",
    "--per_device_eval_batch_size=4",
    "--max_steps=3",
    "--learning_rate=1e-2",
    "--logging_steps=1",
    "--max_seq_length=24",
    "--length_buckets=1",
)


def training(task: str) -> tuple[str, ...]:
    """The flags of a small training: `TRAINING`, as far as the task's script has them."""
    fields = arguments_class(task).model_fields
    return tuple(flag for flag in TRAINING if flag[2:].partition("=")[0] in fields)


def run_apart(
    task: str, files: Path, model: Path, output: Path, *flags: str, xla: str = ""
) -> None:
    """A small training, evaluation and prediction, in a process that compiles all itself.

    XLA reads its settings once in a process, and those of the tests compile other programs.

    Args:
        task: one of `SCRIPTS`.
        files: the folder of the toy files.
        model: to start from.
        output: a folder that is made.
        flags: further ones.
        xla: `XLA_FLAGS`.
    """
    file = files / FILES[task]
    line = [
        *(sys.executable, "-m", f"stages.{SCRIPTS[task]}", "--do_train", "--do_eval"),
        *("--do_predict", f"--test_file={files / TEST_FILES.get(task, FILES[task])}"),
        *(f"--{split}_file={file}" for split in ("train", "validation")),
        *(f"--model_name_or_path={model}", f"--output_dir={output}", "--muon"),
        *(*training(task), *OWN[task], *flags),
    ]
    environment = os.environ | {"XLA_FLAGS": xla, "JAX_COMPILATION_CACHE_DIR": ""}
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def call(script: str, *flags, out: io.StringIO | None = None) -> str:
    """Run a script's `main()` on these flags, as the reference suite does; what it printed."""
    main = importlib.import_module(f"stages.{script}").main
    out = io.StringIO() if out is None else out
    with (
        mock.patch.object(sys, "argv", [f"{script}.py", *map(str, flags)]),
        contextlib.redirect_stdout(out),
    ):
        main()
    return out.getvalue()


def refused(script: str, *flags, out: io.StringIO | None = None) -> str:
    """Run a script that must stop: exit status 1 and one line on stderr, which is returned.

    What it prints otherwise goes to `out`.
    """
    err = io.StringIO()
    status = None
    with contextlib.redirect_stderr(err):
        try:
            call(script, *flags, out=out)
        except SystemExit as stop:
            status = stop.code
    lines = [line for line in err.getvalue().splitlines() if line.startswith("error: ")]
    assert status == 1, f"exit status {status}"
    assert len(lines) == 1, err.getvalue()
    assert "Traceback" not in err.getvalue()
    return lines[0]


def results(folder, split: str = "eval") -> dict:
    """The results file that a script left."""
    return json.loads((Path(folder) / f"{split}_results.json").read_text())


def json_lines(path) -> list[dict]:
    """The rows of a JSON lines file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def tree(folder) -> dict[str, bytes]:
    """Every file of a folder by its name within."""
    folder = Path(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
