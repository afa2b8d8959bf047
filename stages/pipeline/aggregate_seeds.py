"""Mean and deviation of a task's metrics over its seeds.

    python -m stages.pipeline.aggregate_seeds glue --output metrics/seeds/glue.json

Reads `metrics/TASK.json` of the main run and `metrics/seeds/TASK/SEED.json` of each repeat, which
count alike. The deviation is that of a sample (n - 1). There are at least two runs, since a task
without repeats has no such stage.
"""

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path

from stages.core.errors import InputError, command, nearest
from stages.core.files import write_json
from stages.core.params import PARAMS_FILE, read_params
from stages.gate.files import MEAN, STD, is_finite, over_seeds, parse_metrics
from stages.pipeline.seeds import read_seeds
from stages.pipeline.unroll import SEEDS_FILE, check_files, files


def aggregate_seeds(runs: Mapping[str, Mapping]) -> dict[str, float | int | None]:
    """`NAME_mean` and `NAME_std` of each metric, and `runs`, the number of runs.

    Sums are exact and rounded once, so the result depends neither on the order of the runs nor on
    the machine.

    Args:
        runs: {file: {metric: number}} of two runs or more; a metric that is null in one of them
            has neither mean nor deviation, and both are null.

    Raises:
        InputError: the runs do not have the same metrics.
    """
    first, *others = runs
    for other in others:
        for name in sorted(runs[first].keys() ^ runs[other].keys()):
            without, having = (first, other) if name in runs[other] else (other, first)
            raise InputError(f"{without}: no {name}, which {having} has; run both with one version")
    result = {"runs": len(runs)}
    for name in sorted(runs[first]):
        values = [metrics[name] for metrics in runs.values()]
        finite = all(is_finite(value) for value in values)
        result[name + MEAN] = statistics.mean(values) if finite else None
        result[name + STD] = statistics.stdev(values) if finite else None
    return result


def read_runs(task: str, seeds: list[int]) -> dict[str, dict]:
    """{file: metrics} of the main run and of each repeat."""
    files = [task, *(f"{over_seeds(task)}/{seed}" for seed in seeds)]
    runs = {}
    for name in (f"metrics/{file}.json" for file in files):
        try:
            runs[name] = parse_metrics(name, Path(name).read_bytes())
        except OSError as error:
            raise InputError(f"{name}: {error.strerror}; run `make repro`") from None
    return runs


@command
def main() -> None:
    """Write `metrics/seeds/TASK.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("task", help="a key under seeds of params.yaml")
    parser.add_argument("--output", required=True, metavar="FILE.json", help="file to write")
    options = parser.parse_args()
    # As a target by itself this stage runs without `check`.
    check_files({SEEDS_FILE: files()[SEEDS_FILE]})
    seeds = read_seeds(read_params())
    if options.task not in seeds:
        raise InputError(
            f"{PARAMS_FILE}: no seeds.{options.task}{nearest(options.task, list(seeds))}; list some"
        )
    write_json(options.output, aggregate_seeds(read_runs(options.task, seeds[options.task])))


if __name__ == "__main__":
    main()
