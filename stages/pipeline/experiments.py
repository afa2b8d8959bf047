"""Experiments in a table that can be read: `python -m stages.pipeline.experiments [ARGUMENT...]`.

`dvc exp show` has some hundred columns. Of these the table has the parameters that differ between
the experiments, and the metrics that a model is judged by (its gates, else its main metric) where
they differ. Arguments are those of `dvc exp show`: `-n 5`, `--sort-by ...`. With `--csv`, `--md` or
`--json` DVC writes the same choice of columns itself; `--keep REGEX` brings others back.
"""

import csv
import re
import sys
from collections.abc import Collection, Iterable, Sequence

from stages.core.errors import InputError, command
from stages.core.params import PARAMS_FILE, read_params
from stages.core.progress import doing
from stages.core.text_table import plain_table
from stages.pipeline.dvc_process import run_dvc
from stages.pipeline.simple_methods import read_judged

# What an experiment is called, and what became of it.
NAMES = ("Experiment", "rev", "typ", "parent")
STATES = ("State", "Executor")
# Arguments with which DVC's own output is wanted.
RAW = {"--csv", "--md", "--json", "-h", "--help"}


def columns_to_drop(sections: Iterable[str], judged: Collection[tuple[str, str]]) -> str:
    """A regular expression of the columns that are left out.

    Args:
        sections: of the parameter file; all their parameters are kept.
        judged: (task, metric) of the metrics that are kept. DVC leaves the file out of the name of
            a column where one file alone has such a metric.
    """
    metrics = (
        rf"(metrics/{re.escape(task)}\.json:)?{re.escape(metric)}" for task, metric in judged
    )
    params = rf"([^:]+\.yaml:)?({'|'.join(map(re.escape, sections))})\..*"
    return f"(?!({'|'.join((*NAMES, *STATES, params, *metrics))})$)"


def header(column: str, judged: Collection[tuple[str, str]]) -> str:
    """A column's title in two short lines: the task, and the metric or parameter."""
    file, _, name = column.rpartition(":")
    if file.startswith("metrics/"):
        return f"{file.removeprefix('metrics/').removesuffix('.json')}\n{name}"
    found = [task for task, metric in judged if metric == column]
    if found:
        return f"{found[0]}\n{column}"
    above, _, key = name.removeprefix("tasks.").rpartition(".")
    return f"{above}\n{key}"


def cell(value: str) -> str:
    """A value, a number with six digits."""
    try:
        return f"{float(value):.6g}"
    except ValueError:
        return value


def table(text: str, judged: Collection[tuple[str, str]]) -> list[str]:
    """The lines of a table of what `dvc exp show --csv` wrote; experiments under their commit."""
    found = list(csv.DictReader(text.splitlines()))
    if not found:
        return []
    columns = [name for name in found[0] if name not in NAMES]
    if not columns:
        return ["no parameter differs, and no metric that a model is judged by"]
    rows: list[Sequence[str]] = [["experiment", *(header(name, judged) for name in columns)]]
    for row in found:
        name = row.get("Experiment") or row.get("rev") or ""
        mark = "- " * row.get("typ", "").startswith("branch")
        rows.append([f"{mark}{name}", *(cell(row[name] or "-") for name in columns)])
    return plain_table(rows).splitlines()


@command
def main(argv: list[str] | None = None) -> int:
    """Show the experiments; the exit status of DVC."""
    given = sys.argv[1:] if argv is None else argv
    judged = read_judged()
    drop = columns_to_drop(read_params(PARAMS_FILE), judged)
    words = ["exp", "show", "--only-changed", "--drop", drop, *given]
    if RAW.intersection(given):
        from dvc.cli import main as dvc

        return dvc(words)
    try:
        with doing("reading the experiments"):
            text = run_dvc(*words, "--csv")
    except InputError as error:
        raise InputError(str(error).replace(f" --drop {drop}", "")) from None
    print(*table(text, judged), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
