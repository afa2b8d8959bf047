"""Unroll `params.yaml` into what the templates of `dvc.yaml` can read.

    python -m stages.pipeline.unroll            # write the files
    python -m stages.pipeline.unroll --check    # refuse files that are stale

DVC makes stages from mappings of scalars and looks nothing up by name. So `tasks.yaml` holds all
that a stage needs to know of a task, a tokenizer or a checkpoint, `seeds.yaml` the repeats of
`seeds`, one by one, and `plots/dvc.yaml` the curves. In a profile `dvc.yaml` is written too: the
project's own, changed as `pipeline.yaml` says. `make repro` writes them all; `dvc repro` alone
checks them in its first stage.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import yaml

from stages.core.errors import InputError, command
from stages.core.files import write_text
from stages.core.names import check_name, check_path, check_scalar
from stages.core.params import PARAMS_FILE, names, read_params, section, task_of
from stages.core.schema import known_names
from stages.newsroom.licence import FOLDERS, LICENSE
from stages.pipeline.model_types import (
    beginning,
    checkpoint_type,
    model_type,
    tokenizer_type,
)
from stages.pipeline.profile import PIPELINE_FILE, PROFILE_FILE, profile_pipeline
from stages.pipeline.seeds import read_seeds
from stages.tasks.registry import TASKS
from stages.vocabularies import KINDS

COMMAND = "python -m stages.pipeline.unroll"
TASKS_FILE, SEEDS_FILE, PLOTS_FILE = "tasks.yaml", "seeds.yaml", "plots/dvc.yaml"
HEADER = f"# Written by `{COMMAND}` from params.yaml; do not edit.\n"
SECTIONS = ("tasks", "tokenizers", "checkpoints")
UNROLLED = ("commands", "tasks", "baselines", "text_baselines", "tokenizers", "checkpoints")
MODULE = re.compile(r"\bpython -m (stages[\w.]*)(?=\s|$)")
CODE_FILE = re.compile(r"^code/([\w/-]+)\.json$")


def unroll(params: Mapping, stages: Mapping, path: str = PARAMS_FILE) -> dict[str, dict]:
    """The content of `tasks.yaml`, but for its top: {section: {name: scalars}}.

    Args:
        params: the content of `params.yaml`.
        stages: the stages of `dvc.yaml`.
        path: the name of the parameter file, for messages.

    Raises:
        InputError: a section that is missing; a name or path that cannot be a part of a stage and
            its command; a model of no known type.
    """
    listed = {group: names(params, group, path) for group in SECTIONS}
    tasks, text_baselines, baselines = {}, {}, {}
    for name in listed["tasks"]:
        where = f"{path}: tasks.{name}"
        block = section(params, f"tasks.{name}", path)
        kind = task_of(params, name, list(TASKS), path)
        task = TASKS[kind]
        data = section(params, f"tasks.{name}.data", path)
        start = block.get("model_name_or_path")
        tasks[name] = {
            "name": name,
            "task": kind,
            "script": task.script,
            "suffix": task.suffix.removeprefix("."),
            "training": " ".join(["--do_train", *license_flags(block, data, stages)]),
            "evaluation": task.evaluation,
            "source": check_path(data.get("source"), f"{where}.data.source"),
            "model_name_or_path": check_path(start, f"{where}.model_name_or_path"),
            "model_type": model_type(name, params, path),
        }
        baseline = {"task": kind, "settings": baseline_settings(kind, block, where)}
        tasks[name]["beginning"] = check_path(beginning(name, params), where)
        if task.baseline_counts_tokens:
            text_baselines[name] = {**baseline, "tokenizer": start}
        else:
            baselines[name] = baseline
    tokenizers = {}
    for name in listed["tokenizers"]:
        entry = section(params, f"tokenizers.{name}", path)
        tokenizers[name] = {
            "text": check_path(entry.get("text"), f"{path}: tokenizers.{name}.text"),
            "vocabulary": f"stages.vocabularies.{KINDS[tokenizer_type(name, params, path)]}",
        }
    checkpoints = {
        name: {"model_type": checkpoint_type(name, params, path)} for name in listed["checkpoints"]
    }
    if not {"baseline", "baseline-text"} <= stages.keys():  # a profile may leave them out
        baselines, text_baselines = {}, {}
    found = (commands(stages), tasks, baselines, text_baselines, tokenizers, checkpoints)
    return dict(zip(UNROLLED, found, strict=True))


def license_flags(block: Mapping, data: Mapping, stages: Mapping) -> list[str]:
    """The flag that names the licence of a task's data; none where only the user can know it.

    Only what the newsroom's own stages make has the newsroom's licence. It is no parameter, so that
    who copies a section and names another source does not copy the licence with it.

    Args:
        block: the task's section of `params.yaml`; its `data_license` stands for itself.
        data: the group `data` in it.
        stages: the stages of `dvc.yaml`.
    """
    if block.get("data_license") is not None or data.get("dataset_name") is not None:
        return []
    source = PurePosixPath(data["source"])
    made = [folder for stage, folder in FOLDERS.items() if stage in stages]
    ours = any(source.is_relative_to(folder) for folder in made)
    return ["--data_license", LICENSE] if ours else []


def baseline_settings(kind: str, block: Mapping, where: str) -> str:
    """What is given of the arguments that a baseline depends on: `name=value,name=value`.

    Args:
        kind: the task.
        block: its section of `params.yaml`.
        where: the file and the section, for messages.

    Raises:
        InputError: a value that cannot be a part of a command.
    """
    values = {name: block.get(name) for name in TASKS[kind].baseline_settings}
    texts = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }
    for name, text in texts.items():
        check_scalar(text.replace(",", "\n"), f"{where}.{name}")  # a comma parts the entries
    return ",".join(f"{name}={text}" for name, text in texts.items())


def commands(stages: Mapping) -> dict[str, str]:
    """{file below `code/`, without its ending: module}, where a stage has neither as a template."""
    found = {}
    for stage in stages.values():
        body = stage.get("do", stage)
        module = MODULE.search(str(body.get("cmd", "")))
        files = filter(None, (CODE_FILE.match(str(dep)) for dep in body.get("deps") or ()))
        found |= {file[1]: module[1] for file in files if module}
    return found


def repeats(params: Mapping, tasks: Mapping[str, Mapping], path: str = PARAMS_FILE) -> dict:
    """{`NAME-SEED`: what the stages of that repeat are made of}, in the order of `params.yaml`."""
    return {
        f"{name}-{seed}": {**tasks[name], "seed": seed}
        for name, listed in read_seeds(params, path).items()
        for seed in listed
    }


def plots(tasks: Mapping[str, Mapping]) -> list[dict]:
    """The curves of `dvc plots show`: every training loss in one, each task's metrics beside it."""
    losses = {f"{name}/train.csv": "loss" for name in tasks}
    return [
        {"loss of training": {"template": "linear", "x": "step", "y": losses}},
        *(
            {
                f"{name} on validation": {
                    "x": "step",
                    "y": {f"{name}/validation.csv": list(TASKS[entry["task"]].curves)},
                }
            }
            for name, entry in tasks.items()
        ),
    ]


def files(params_file: str = PARAMS_FILE) -> dict[str, str]:
    """{file: its text} of all that is written."""
    params = read_params(params_file)
    is_profile = Path(PROFILE_FILE).is_file()
    pipeline = profile_pipeline() if is_profile else Path(PIPELINE_FILE).read_text(encoding="utf-8")
    unrolled = unroll(params, yaml.safe_load(pipeline)["stages"], params_file)
    contents = {
        TASKS_FILE: {"unrolled": unrolled},
        SEEDS_FILE: {
            "repeats": repeats(params, unrolled["tasks"], params_file),
            "repeated": list(params["seeds"]),
        },
        PLOTS_FILE: {"plots": plots(unrolled["tasks"])},
    }
    texts = {
        name: HEADER + yaml.safe_dump(content, sort_keys=False, width=1000, allow_unicode=True)
        for name, content in contents.items()
    }
    if is_profile:
        texts[PIPELINE_FILE] = pipeline
    return texts


def read_unrolled() -> dict[str, dict[str, dict]]:
    """The content of `tasks.yaml`, whoever wrote it.

    Raises:
        InputError: it is missing or damaged, or holds what would not have been written.
    """
    content = section(read_params(TASKS_FILE), "unrolled", TASKS_FILE)
    known_names(content, UNROLLED, TASKS_FILE)
    for group in UNROLLED:
        for name, value in section(content, group, TASKS_FILE).items():
            check_name(name, f"{TASKS_FILE}: {group}")
            for scalar in value.values() if isinstance(value, dict) else [value]:
                check_scalar(scalar, f"{TASKS_FILE}: {group}.{name}")
    return content


def is_current(name: str, text: str) -> bool:
    """Whether a file has this very text."""
    try:
        return Path(name).read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False


def write_stale(wanted: Mapping[str, str]) -> None:
    """Write the files that have another text than this, and say which."""
    for name, text in wanted.items():
        if not is_current(name, text):
            write_text(name, text)
            print(f"{name}: written")


def difference(found, wanted: Mapping) -> str:
    """How two mappings differ, by the dotted names of their inmost mappings; "" if not in these."""
    have, want = entries(found), entries(wanted)
    names = {
        "lacks": [name for name in want if name not in have],
        "still has": [name for name in have if name not in want],
        "has another": [name for name in want if name in have and have[name] != want[name]],
    }
    return ", ".join(f"{verb} {' '.join(listed)}" for verb, listed in names.items() if listed)


def entries(content, prefix: str = "") -> dict[str, Mapping]:
    """{dotted name: mapping of scalars} of nested mappings, without their top."""
    found = {}
    for name, value in content.items() if isinstance(content, Mapping) else ():
        if not isinstance(value, Mapping):
            continue
        stage = "do" in value or "cmd" in value
        if not stage and any(isinstance(inner, Mapping) for inner in value.values()):
            found |= entries(value, f"{prefix}{name}.")
        elif prefix:
            found[f"{prefix}{name}".partition(".")[2]] = value
    return found


def check_files(wanted: Mapping[str, str]) -> None:
    """Refuse the first file that has another text than this.

    Raises:
        InputError: naming it, the entries that differ, and the command that writes it.
    """
    for name, text in wanted.items():
        if is_current(name, text):
            continue
        try:
            found = read_params(name)
        except InputError:  # half a merge, say
            found = {}
        said = difference(found, yaml.safe_load(text)) or "another text"
        asks = f"{PARAMS_FILE} asks"
        if name == PIPELINE_FILE:
            asks = f"{PARAMS_FILE} and ../../{PIPELINE_FILE} ask"
        raise InputError(f"{name}: not what {asks} for ({said}); run `{COMMAND}`, then again")


@command
def main() -> None:
    """Write the files that differ, or check them; silent where nothing does."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if stale")
    wanted = files()
    if parser.parse_args().check:
        check_files(wanted)
        return
    write_stale(wanted)


if __name__ == "__main__":
    main()
