"""Predicts with a trained model: its folder says for which task it is, and with what arguments.

    python -m stages.predict models/qa new.json
    python -m stages.predict models/glue --text "A sentence to classify."
    python -m stages.predict models/speech clip.wav
    python -m stages.predict models/glue - < new.csv

INPUT is a file of the task, - for standard input, or for speech an audio file, a folder of them or
a manifest. Further flags are those of the task's script (`--per_device_eval_batch_size 64`).
"""

import argparse
import importlib
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import islice, takewhile
from pathlib import Path
from types import ModuleType
from typing import Any

from stages.core.arguments import given_values
from stages.core.errors import InputError, command, nearest, one_line, quoted, shortened
from stages.core.files import write_json_lines
from stages.core.schema import kept_for
from stages.core.text_table import plain_table
from stages.tasks import typed
from stages.tasks.mistakes import read_entries, read_lines
from stages.tasks.registry import TASKS, arguments_class, part_name
from stages.training.kept_arguments import Kept, find_kept, read_kept
from stages.training.results import OBJECT_PREFIXES, PREDICTIONS

GENERATE = "predict_with_generate"


def read_command(argv: Sequence[str]) -> tuple[list[str], argparse.Namespace, list[str]]:
    """The folder and perhaps the input, our flags, and those of the task's script.

    Raises:
        InputError: no folder, no input or two, a word that belongs to no flag.
    """
    parser = argparse.ArgumentParser(
        prog="python -m stages.predict",
        usage="%(prog)s FOLDER [INPUT | -] [--text TEXT ...] [flags of the task's script]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--text",
        action="append",
        default=[],
        help="a text instead of INPUT, once a row; of pairs twice: question and context",
    )
    parser.add_argument("--task", help="of a folder that flaxmill did not train")
    parser.add_argument(
        "--output_dir", help="folder for the predictions (default: one below predictions/)"
    )
    parser.add_argument(
        "--score",
        action="store_true",
        help="evaluate instead: INPUT has the answers; of plain text the hardest tokens are shown",
    )
    parser.add_argument("--show", type=int, default=5, help="predictions to show (default 5)")
    words = list(takewhile(lambda word: word == "-" or not word.startswith("-"), argv))
    options, rest = parser.parse_known_args(argv[len(words) :])
    if not words:
        raise InputError("the model's folder is missing: python -m stages.predict FOLDER INPUT")
    if len(words) > 2 or (rest and not rest[0].startswith("--")):
        extra = words[2] if len(words) > 2 else rest[0]
        raise InputError(f"{quoted(extra)} belongs to no flag; give one INPUT, right after FOLDER")
    if (len(words) == 2) == bool(options.text):
        raise InputError("give either INPUT (a file, or - for standard input) or --text")
    return words, options, rest


def find_task(folder: str, given: str | None) -> tuple[str, dict[str, Any]]:
    """The task of a model's folder, and the arguments that it keeps.

    Raises:
        InputError: an unknown task, or none; what `find_kept` and `read_kept` refuse.
    """
    file = find_kept(folder)
    kept = Kept(task=given or "", arguments={}) if file is None else read_kept(file)
    task = given or kept.task
    if not task:
        raise InputError(
            f"{folder}: no flaxmill.json in it, so it does not say what the model was trained for; "
            f"add --task NAME, one of {', '.join(TASKS)}"
        )
    if task not in TASKS:
        where = "--task" if given else f"{file}: task"
        known = f"expected one of {', '.join(TASKS)}{nearest(task, list(TASKS))}"
        raise InputError(f"{where} is {quoted(task)}; {known}")
    return task, kept.arguments if task == kept.task else {}


def typed_module(task: str) -> ModuleType:
    """`typed` of the task, or the general one if the task has none."""
    module = part_name(task, "typed")
    return importlib.import_module(module) if find_spec(module) else typed


def input_file(
    source: str | None, texts: Sequence[str], task: str, arguments: Mapping[str, Any], scratch: Path
) -> str:
    """The file that the task's script is to read, perhaps one written into `scratch`.

    Raises:
        InputError: what the task cannot predict.
    """
    module = typed_module(task)
    if source is None:
        rows = list(module.typed_rows(texts, arguments))
    elif source == "-":
        if module.STREAM_SUFFIX is None:
            raise InputError(f"a model for {task} reads no standard input; name a file")
        content = sys.stdin.buffer.read()
        is_json = content.lstrip()[:1] in (b"{", b"[")
        path = scratch / f"stdin{'.json' if is_json else module.STREAM_SUFFIX}"
        path.write_bytes(content)
        return str(path)
    else:
        rows = module.clip_rows(Path(source), arguments) if hasattr(module, "clip_rows") else None
    if rows is None:
        return source
    write_json_lines(scratch / "rows.jsonl", rows)
    return str(scratch / "rows.jsonl")


def script_flags(task: str, kept: Mapping[str, Any], given: Mapping, score: bool) -> list[str]:
    """The flags that make the task's script predict, or score; the last one takes the file.

    Args:
        task: a key of `TASKS`.
        kept: the arguments that the model's folder keeps.
        given: those that the user gives.
        score: evaluate as the pipeline does.
    """
    fields = arguments_class(task).model_fields
    flags = []
    if GENERATE in fields and GENERATE not in given and not kept.get(GENERATE):
        flags.append(f"--{GENERATE}")
    if not score:
        return [*flags, "--do_predict", "--test_file"]
    # Of some tasks --do_predict scores: it would take no more than prediction needs.
    flags += [
        f"--{name}={kept[name]}"
        for name, field in fields.items()
        if kept_for(field) == "evaluation" and kept.get(name) is not None and name not in given
    ]
    return [*flags, *TASKS[task].evaluation.split()]


def run_script(task: str, flags: Sequence[str]) -> None:
    """Run the task's script in this process."""
    script = f"stages.{TASKS[task].script}"
    before, sys.argv = sys.argv, [script, *flags]
    try:
        importlib.import_module(script).main()
    finally:
        sys.argv = before


def predictions_file(folder: Path, split: str) -> Path | None:
    """The file of the predictions that were just written; None where there is none."""
    names = (PREDICTIONS[split], f"{OBJECT_PREFIXES[split]}predictions.json")
    found = [folder / name for name in names if (folder / name).is_file()]
    return max(found, key=lambda file: file.stat().st_mtime_ns, default=None)


def first_rows(file: Path, count: int) -> tuple[list[dict], int]:
    """The first predictions of a file of rows, or of one with an object of answers by their ids.

    Returns:
        These rows, and how many the file has.
    """
    with file.open(encoding="utf-8") as lines:
        is_object = lines.readline().strip() in ("{", "{}")
    if is_object:
        entries = read_entries(file)
        rows = ({"id": name, "answer": answer or "(none)"} for name, answer in entries)
    else:
        rows = read_lines(file)
    first = list(islice(rows, count))
    return first, len(first) + sum(1 for _ in rows)


def shown(value: Any) -> str:
    """A value in one line: words of a list parted by blanks, lists of them by bars."""
    if isinstance(value, list):
        mark = " | " if any(isinstance(one, list) for one in value) else " "
        return mark.join(map(shown, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return one_line(value if isinstance(value, str) else json.dumps(value))


def table(rows: Sequence[dict], width: int) -> str:
    """The rows as columns that fit into `width` characters as far as each can have eight."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([shown(row.get(name, "")) for name in names] for row in rows)]
    natural = [max(map(len, column)) for column in zip(*cells, strict=True)]
    room, widths = width - 2 * (len(names) - 1), {}
    # Narrow columns first: what they leave is the others'.
    for rank, column in enumerate(sorted(range(len(names)), key=natural.__getitem__)):
        widths[column] = min(natural[column], max(8, room // (len(names) - rank)))
        room -= widths[column]
    return plain_table(
        [[shortened(cell, widths[column]) for column, cell in enumerate(row)] for row in cells]
    )


def default_output(folder: str, *, typed: bool) -> Path:
    """Where the predictions go: `predictions/reviews/glue` for `profiles/reviews/models/glue`.

    Args:
        folder: the model's.
        typed: of texts from the command line, which leave those of a file as they are.
    """
    path = Path(folder).resolve()
    inside = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(path.name)
    names = [name for name in inside.parts if name not in ("profiles", "models")]
    return Path("predictions", *(names or [path.name]), *["typed"] * typed)


@command
def main() -> None:
    """Predict, say where the predictions are, and show the first ones."""
    (folder, *source), options, flags = read_command(sys.argv[1:])
    task, kept = find_task(folder, options.task)
    given = given_values(arguments_class(task), "", flags)
    arguments = kept | {name: value for name, (value, _) in given.items()}
    output = Path(options.output_dir or default_output(folder, typed=bool(options.text)))
    split = "test"
    if options.score and "--do_eval" in TASKS[task].evaluation:
        split = "eval"
    with tempfile.TemporaryDirectory(prefix="flaxmill-") as scratch:
        file = input_file(*(source or [None]), options.text, task, arguments, Path(scratch))
        run_script(
            task,
            [
                f"--model_name_or_path={folder}",
                f"--output_dir={output}",
                *script_flags(task, kept, given, options.score),
                file,
                *flags,
            ],
        )
    written = predictions_file(output, split)
    if written is None:
        return
    width = shutil.get_terminal_size().columns
    first, count = first_rows(written, options.show)
    some = f" ({count} rows, the first {len(first)} here)" if len(first) < count else ""
    print(f"predictions: {written}{some}\n\n{table(first, width)}")


if __name__ == "__main__":
    main()
