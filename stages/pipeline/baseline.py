"""Metrics of simple methods on the test split, which a model has to beat.

python -m stages.pipeline.baseline glue --data data/glue --output metrics/baselines/glue.json
"""

import argparse
import json

from stages.core.errors import InputError, command
from stages.core.files import write_json
from stages.tasks.registry import TASKS, load_part


def parse_settings(text: str) -> dict[str, bool | int | float | str]:
    """`name=value,name=value` as `stages.pipeline.unroll` writes it.

    Raises:
        InputError: an entry of another form.
    """
    found = {}
    for entry in filter(None, text.split(",")):
        name, sign, value = entry.partition("=")
        if not sign:
            raise InputError(f"--settings: {entry!r} is no name=value; run `make unroll`")
        try:
            found[name] = json.loads(value)
        except ValueError:  # a name, such as mrpc
            found[name] = value
    return found


@command
def main() -> None:
    """Write `METHOD_METRIC` for each simple method of one task."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("--data", required=True, help="folder that fetch wrote")
    parser.add_argument("--output", required=True, metavar="FILE.json", help="file to write")
    parser.add_argument(
        "--tokenizer",
        help="folder of the tokenizer, for a task whose baseline counts tokens",
    )
    parser.add_argument(
        "--settings",
        default="",
        metavar="NAME=VALUE,...",
        help="arguments of the task that its baseline depends on, as tasks.yaml has them",
    )
    options = parser.parse_args()
    module = load_part(options.task, "baseline")
    extra = {"tokenizer": options.tokenizer} if options.tokenizer else {}
    extra |= parse_settings(options.settings)
    figures = {
        f"{method}_{name}": value
        for method, metrics in module.measure(options.data, **extra).items()
        for name, value in metrics.items()
    }
    write_json(options.output, dict(sorted(figures.items())))
    for name, value in sorted(figures.items()):
        print(f"{name} = {value:.6g}")


if __name__ == "__main__":
    main()
