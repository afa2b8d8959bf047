"""Further seeds of a task, unrolled for DVC: `seeds: {glue: [7, 8]}` in `params.yaml`.

    python -m stages.pipeline.seeds            # write seeds.yaml
    python -m stages.pipeline.seeds --check    # refuse one that params.yaml has left behind

DVC makes stages of a mapping of scalars and looks nothing up by a name, so `seeds.yaml` holds an
entry for each repeat, `glue-7`, with all that a train stage asks of a task. `make repro` writes it;
`dvc repro` by itself checks it first.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import yaml

from stages.core.errors import InputError, command
from stages.core.files import write_text
from stages.core.params import PARAMS_FILE, read_params, section
from stages.core.schema import Arguments, build, known_names
from stages.training.arguments import CommonArguments, Seed

PIPELINE_FILE = "dvc.yaml"
SEEDS_FILE = "seeds.yaml"
COMMAND = "python -m stages.pipeline.seeds"
HEADER = f"# Written by `{COMMAND}` from params.yaml and the vars of dvc.yaml; do not edit.\n"


class _Seed(Arguments):
    seed: Seed = CommonArguments.model_fields["seed"].default


def read_seeds(params: Mapping, path: str = PARAMS_FILE) -> dict[str, list[int]]:
    """The checked `seeds` of the parameter file: {task: seeds beside that of the main run}.

    Raises:
        InputError: no such section; an unknown task; a seed that is no whole number, there twice,
            or the main run's.
    """
    if "seeds" not in params:
        raise InputError(f"{path}: seeds is missing; write `seeds: {{}}` for no repeats")
    tasks = section(params, "tasks", path)
    seeds = params["seeds"]
    known_names(seeds, list(tasks), f"{path}: seeds")
    for task, listed in seeds.items():
        where = f"{path}: seeds.{task}"
        if not isinstance(listed, list) or not listed:
            raise InputError(f"{where} is {listed!r}; give a list of seeds, or take {task} out")
        main = _seed(tasks[task], f"{path}: tasks.{task}.seed")
        for place, seed in enumerate(listed):
            if not isinstance(seed, int):  # 7.0 or "7" would name its stages otherwise
                raise InputError(f"{where}: {seed!r} is not a whole number; write it as one")
            _seed({"seed": seed}, where)
            if seed in listed[:place]:
                raise InputError(f"{where}: {seed} is there twice; give each seed once")
            if seed == main:
                raise InputError(
                    f"{where}: {seed} is the seed of the main run, which counts by itself; take "
                    "it out"
                )
    return seeds


def _seed(found: Mapping, name: str) -> int:
    """The checked `seed` of a mapping, or the default; `name` is for messages."""
    return build(_Seed, {key: (found[key], name) for key in found if key == "seed"}).seed


def repeats(params_file: str = PARAMS_FILE, pipeline_file: str = PIPELINE_FILE) -> dict[str, dict]:
    """{`TASK-SEED`: what the stages of that repeat are made of}, in the order of `params.yaml`."""
    params = read_params(params_file)
    known = {}
    for entry in read_params(pipeline_file).get("vars") or ():
        known |= entry.get("tasks", {}) if isinstance(entry, dict) else {}
    unrolled = {}
    for task, listed in read_seeds(params, params_file).items():
        if task not in known:
            raise InputError(f"{pipeline_file}: no {task} under tasks of vars; add it there")
        model = section(params, f"tasks.{task}", params_file).get("model_name_or_path")
        for seed in listed:
            entry = {**known[task], "model_name_or_path": model, "seed": seed}
            unrolled[f"{task}-{seed}"] = entry
    return unrolled


def as_text(unrolled: dict[str, dict]) -> str:
    """`seeds.yaml` as it is to be."""
    return HEADER + yaml.safe_dump({"repeats": unrolled}, sort_keys=False, width=1000)


def check_seeds(wanted: dict[str, dict], path: str = SEEDS_FILE) -> None:
    """Refuse a `seeds.yaml` that is not what `as_text(wanted)` is.

    Raises:
        InputError: naming the repeats that are missing, too many or others.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    if text == as_text(wanted):
        return
    try:
        found = read_params(path).get("repeats")
    except InputError:  # half a merge, say
        found = None
    found = found if isinstance(found, dict) else {}
    differing = {
        "lacks": [name for name in wanted if name not in found],
        "still has": [name for name in found if name not in wanted],
        "has another": [name for name in wanted if name in found and found[name] != wanted[name]],
    }
    said = ", ".join(f"{verb} {' '.join(names)}" for verb, names in differing.items() if names)
    raise InputError(
        f"{path}: not what {PARAMS_FILE} asks for ({said or 'another text'}); run `{COMMAND}`, "
        "then again"
    )


@command
def main() -> None:
    """Write `seeds.yaml` where it differs, or check it; silent where all is well."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if wrong")
    options = parser.parse_args()
    wanted = repeats()
    try:
        check_seeds(wanted)
    except InputError:
        if options.check:
            raise
        write_text(SEEDS_FILE, as_text(wanted))
        print(f"{SEEDS_FILE}: {' '.join(wanted) or 'no repeats'}")


if __name__ == "__main__":
    main()
