"""Make a profile from files: look at them, split them, and write parameters that fit.

    python -m stages.pipeline.new_profile reviews --task glue --data reviews.csv \\
        --text_column_name review --label_column_name stars

`make new PROFILE=reviews TASK=glue DATA=reviews.csv` calls it; further flags go into ARGS. Nothing
is asked: where the files can be read in two ways, it stops and names the flag to give. A profile
that is there is never touched.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from inspect import signature
from pathlib import Path

from stages.core.errors import InputError, command, quoted, shortened
from stages.core.files import atomic_folder, write_json_lines
from stages.core.names import check_name
from stages.core.schema import build
from stages.data.columns import listed_columns
from stages.data.source import SPLITS
from stages.pipeline.new_profile.find import find_files
from stages.pipeline.new_profile.model import Start, find_model
from stages.pipeline.new_profile.split import hold_out
from stages.pipeline.new_profile.write import write_profile
from stages.tasks.own_data import Items, Plan, Sizes
from stages.tasks.registry import TASKS, load_part, part_name

# Where the rows lie in the profile; `dvc add` tracks the folder.
SOURCE = "source"
# What `make` calls the pipeline outside `profiles/`.
PROJECT = "embedded"


def parser_of(task: str | None) -> argparse.ArgumentParser:
    """The command's flags; those of `data` that say how files are read are the task's."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="PROFILE", help="a folder of profiles/, not there yet")
    parser.add_argument("--task", required=True, choices=list(TASKS))
    parser.add_argument("--data", required=True, help="a file, or the folder of the files")
    parser.add_argument("--model", help="a checkpoint: folder or hub id (default: a new model)")
    parser.add_argument("--seed", type=int, default=1, help="of the rows that are held out")
    if is_known(task):
        for name, field in load_part(task, "convert").Source.model_fields.items():
            if name in SPLITS.values() or name.endswith(("_column", "_column_name")):
                parser.add_argument(f"--{name}", help=field.description)
        if "name_part" in signature(load_part(task, "own_data").read).parameters:
            parser.add_argument(
                "--name_part", type=int, help="which part of a clip's name is its transcript"
            )
    return parser


def is_known(task: str | None) -> bool:
    """Whether there is such a task, and it has what this command needs."""
    return task in TASKS and find_spec(part_name(task, "own_data")) is not None


def for_make(error: InputError) -> InputError:
    """The message, with the words that make takes where it asks for flags."""
    flags = re.findall(r"--\w+", str(error).partition("; give ")[2])
    if not flags or "MAKELEVEL" not in os.environ:
        return error
    words = " ".join(f"{flag} ..." for flag in dict.fromkeys(flags))
    return InputError(f'{error}: make new ... ARGS="{words}"')


def read_splits(options: argparse.Namespace) -> tuple[dict[str, Items], list[str]]:
    """The rows of each split, and what is to be said of them."""
    own = load_part(options.task, "own_data")
    cls = load_part(options.task, "convert").Source
    given = {
        name: value
        for name, value in vars(options).items()
        if name in cls.model_fields and value is not None
    }
    source = build(cls, {name: (value, f"--{name}") for name, value in given.items()})
    more = {"name_part": options.name_part} if "name_part" in options else {}
    named = {split: getattr(source, key) for split, key in SPLITS.items()}
    files, left_out = find_files(Path(options.data), own.ENDINGS, named, several=own.SEVERAL)
    said = [
        f"{split}: {shortened(', '.join(path.name for path in files[split]), 200)}"
        for split in SPLITS
        if split in files
    ]
    read = {split: own.read(files[split], source, **more) for split in SPLITS if split in files}
    for split, items in read.items():
        if items.data != read["train"].data:
            raise InputError(
                f"{files[split][0]}: read as {listed_columns(items.data)}, but the training file "
                f"as {listed_columns(read['train'].data)}; give these as flags"
            )
    used = {clip for items in read.values() for clip in items.files.values()}
    left_out = [path.name for path in left_out if path not in used]
    if left_out:
        said.append(f"left out: {shortened(', '.join(left_out), 300)}")
    said += read["train"].said
    missing = [split for split in ("validation", "test") if split not in read]
    if missing:
        whole = read["train"]
        for split, rows in hold_out(whole.shared, missing, options.seed).items():
            kept = [whole.rows[row] for row in rows]
            shared = [whole.shared[row] for row in rows]
            read[split] = replace(whole, rows=kept, shared=shared)
        said.append(
            f"no file for {' and '.join(missing)}: a tenth of the {len(whole.rows)} rows for each, "
            f"drawn by the seed {options.seed}; rows that share a text stay in one split"
        )
    return {split: read[split] for split in SPLITS}, said


def write_source(folder: Path, read: dict[str, Items]) -> None:
    """Write the rows of each split, and copy the files that belong to them."""
    for split, items in read.items():
        write_json_lines(folder / f"{split}.jsonl", items.rows)
    for target, clip in {k: v for items in read.values() for k, v in items.files.items()}.items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clip, folder / target)


def measure(task: str, folder: Path, scratch: Path, data: dict[str, str]) -> dict[str, Sizes]:
    """What each split holds once it is fetched, so that fetching refuses nothing later."""
    standard, own = load_part(task, "convert"), load_part(task, "own_data")
    source = standard.Source(source=str(folder), **data)
    sizes = {}
    # The columns were said, of the user's own files.
    with redirect_stdout(io.StringIO()):
        for split in SPLITS:
            target = scratch / f"{split}{TASKS[task].suffix}"
            standard.convert(str(folder / f"{split}.jsonl"), target, source)
            sizes[split] = own.describe(target)
    return sizes


def task_block(
    options: argparse.Namespace, items: Items, sizes: dict[str, Sizes], start: Start
) -> Plan:
    """The plan of the task, with its data and the model that it starts from."""
    own = load_part(options.task, "own_data")
    plan = own.plan(sizes, start.path)
    head = {"data": {"source": SOURCE, **items.data}}
    model = {"model_name_or_path": start.path or f"models/start/{start.tokenizer}"}
    if start.path is None:
        model["from_scratch"] = True
    if plan.first is not None:
        text = {"source": SOURCE, "text_column_name": items.text}
        plan.first.block = {"data": text} | model | plan.first.block
        model = {"model_name_or_path": f"models/{plan.first.task}"}
    head |= model
    known = sizes["train"].labels
    for split, one in sizes.items():
        new = [label for label in one.labels if label not in known]
        if any("," in label for label in [*known, *new]) and new:
            raise InputError(
                f"{split}: the label {quoted(new[0])} is none of the training file's; correct it, "
                f"or give another file as --{SPLITS[split]}"
            )
        known = known + new
    if known != sizes["train"].labels:
        head["label_names"] = ",".join(known)
    plan.task = head | items.task | plan.task
    return plan


@command
def main() -> None:
    """Write `profiles/NAME` whole or not at all."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--task")
    options = parser_of(first.parse_known_args()[0].task).parse_args()
    check_name(options.name, "PROFILE")
    if options.name == PROJECT:
        raise InputError(f"PROFILE={PROJECT} is the project itself; give another name")
    profile = Path("profiles", options.name)
    if os.path.lexists(profile):
        raise InputError(f"{profile} is there already; give another PROFILE, or remove it")
    if not Path("profiles").is_dir():
        raise InputError("no folder profiles; run from the project's folder")
    if not is_known(options.task):
        raise InputError(f"--task {options.task} has no own_data.py; write its profile by hand")
    own = load_part(options.task, "own_data")
    try:
        read, said = read_splits(options)
    except InputError as error:
        raise for_make(error) from None
    data = read["train"].data
    print(*said, sep="\n", flush=True)
    with atomic_folder(profile) as partial:
        (partial / SOURCE).mkdir()
        write_source(partial / SOURCE, read)
        scratch = partial / "data"
        scratch.mkdir()
        sizes = measure(options.task, partial / SOURCE, scratch, data)
        shutil.rmtree(scratch)
        for split, one in sizes.items():
            print(f"{split}: {one.rows} rows", *one.said, sep="\n  ")
        start = find_model(options.model, own.MODEL, partial)
        print(start.said)
        plan = task_block(options, read["train"], sizes, start)
        said += [f"{split}: {one.rows} rows" for split, one in sizes.items()]
        write_profile(partial, options, plan, start, [*said, start.said])
    tracked = [SOURCE, *([start.path] if start.copied else [])]
    finish(profile, tracked)
    trainings = [] if plan.first is None else [(plan.first.task, plan.first.block)]
    for before, _ in trainings:
        print(
            f"{before} comes first: a new model fills gaps in the same text, and {options.task} "
            f"starts from it; only {options.task} is judged"
        )
    for task, block in [*trainings, (options.task, plan.task)]:
        print(
            f"{profile}/params.yaml: {task}: {block['max_steps']} steps of "
            f"{block['per_device_train_batch_size']} rows, {block['warmup_steps']} of warm-up"
        )
    print(f"next: make repro PROFILE={options.name}")


def finish(profile: Path, tracked: list[str]) -> None:
    """Write what `dvc.yaml` reads, and let DVC track the copies.

    Raises:
        InputError: one of the two fails, with its reason.
    """
    lines = [["stages.pipeline.unroll"], *(["dvc", "add", "--quiet", path] for path in tracked)]
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-m", *line], cwd=profile, capture_output=True, text=True
        )
        if done.returncode:
            reason = " ".join(done.stderr.split()).removeprefix("ERROR: ")
            raise InputError(
                f"{profile}: {' '.join(line)}: {reason}; remove {profile}, and try again"
            )


if __name__ == "__main__":
    main()
