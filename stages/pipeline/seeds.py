"""The further seeds of a task: `seeds: {glue: [7, 8]}` in `params.yaml`."""

from collections.abc import Mapping

from stages.core.errors import InputError, quoted
from stages.core.params import PARAMS_FILE, section
from stages.core.schema import Arguments, build, known_names
from stages.training.optimization_arguments import OptimizationArguments, Seed


class _Seed(Arguments):
    seed: Seed = OptimizationArguments.model_fields["seed"].default


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
            raise InputError(
                f"{where} is {quoted(listed)}; give a list of seeds, or take {task} out"
            )
        main = _seed(tasks[task], f"{path}: tasks.{task}.seed")
        for place, seed in enumerate(listed):
            if not isinstance(seed, int):  # 7.0 or "7" would name its stages otherwise
                raise InputError(f"{where}: {quoted(seed)} is not a whole number; write it as one")
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
