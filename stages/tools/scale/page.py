"""The page of figures, written from a JSON file beside it, in which parts are kept between runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import InputError
from stages.core.files import write_json, write_text
from stages.core.text_table import markdown_table

INTRODUCTION = """\
# Time and memory at growing sizes

`make bench-data` wrote this page; the figures behind it are in `{name}`.

Each command ran in its own process, on generated files. Memory is RssAnon + RssShmem, summed
over the process and all that it started, looked at ten times a second; MB are 10^6 bytes. A peak
holds the interpreter, the libraries and the compiled program, which are the same at every size.
**What rows cost is the growth: each peak less that of the same command at the fewest rows.** The
models have one layer of width 16, so that it is reading that is measured; batches have one length,
and their programs were compiled before. Files lay in the system's memory, as they had just been
written."""


class Section(NamedTuple):
    """A table and what is said of it."""

    title: str
    text: str
    subject: str


SECTIONS = {
    "fetch": Section(
        "Fetch", "`python -m stages.pipeline.fetch TASK`: rows checked and written.", "task"
    ),
    "train": Section(
        "Training",
        "Five steps. The first start reads and tokenises; the second finds rows and tokens in the "
        "cache. Seconds are those of the whole process, and from its start to the line of step 1.",
        "task",
    ),
    "evaluate": Section("Evaluation", "`--do_eval`, with nothing in the cache.", "task"),
    "generate": Section(
        "Generation", "`--do_predict`: at most 24 new tokens a row, greedily.", "task"
    ),
    "metrics": Section(
        "Metrics", "Stored predictions and references, fed to `compute` row by row.", "metric"
    ),
    "speech": Section(
        "Speech", "Clips of half a second, from eight files that repeat; five steps.", "command"
    ),
    "throughput": Section(
        "First start beside `datasets`",
        "Pairs of sentences read from CSV and tokenised, in turns, with empty caches: "
        "`read_examples` and our tokens, against `load_dataset` and `Dataset.map(tokenizer, "
        "batched=True)` with a process a core. Seconds of all turns; rows/s of the median; the "
        "ratio is the median over the turns. Imports do not count.",
        "task",
    ),
    "waits": Section(
        "Waiting for input",
        "Time in which the loop of a training waited for the next batch, of all its time but "
        "evaluation. Compiling counts as the loop's.",
        "task",
    ),
    "encoder": Section(
        "Start with the embedded default's encoder",
        "Training as above, but of a model of the size that `tokenizers.encoder` of `params.yaml` "
        "names.",
        "task",
    ),
    "growth": Section(
        "Growth",
        "`clm` on more and more lines of text: fetch, and five steps as above.",
        "task",
    ),
}

Figures = dict


def read_figures(path: Path) -> Figures:
    """The figures of earlier runs; none if there is no such file.

    Raises:
        InputError: the file holds something else.
    """
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        if set(figures) != {"runs", "parts"} or not set(figures["parts"]) <= set(SECTIONS):
            raise ValueError("not the figures of this command")
    except FileNotFoundError:
        return {"runs": [], "parts": {}}
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: {error}; remove it to measure again, or name another --output"
        ) from None
    return figures


def add_figures(figures: Figures, run: dict, part: str, subject: str, rows: Sequence[dict]) -> None:
    """Put figures of this run in place of those that a subject had in a part.

    Args:
        figures: changed in place. Runs of which nothing is left are dropped.
        run: when and where they were measured, see `stages.tools.scale.__main__.this_run`.
        part, subject, rows: as `stages.tools.scale.parts.measure_task` gives them.
    """
    if run not in figures["runs"]:
        figures["runs"].append(run)
    number = figures["runs"].index(run)
    found = figures["parts"].setdefault(part, {})
    found[subject] = {"run": number, "rows": list(rows)}
    records = [record for part in figures["parts"].values() for record in part.values()]
    used = sorted({record["run"] for record in records})
    figures["runs"] = [figures["runs"][number] for number in used]
    for record in records:
        record["run"] = used.index(record["run"])


def write_page(figures: Figures, path: Path) -> None:
    """Write the JSON file and the page."""
    data = data_file(path)
    write_json(data, figures)
    blocks = [INTRODUCTION.format(name=data.name), _runs(figures["runs"])]
    for part, section in SECTIONS.items():
        if part in figures["parts"]:
            table = _table(part, figures["parts"][part], len(figures["runs"]) > 1)
            blocks += [f"## {section.title}", section.text, table]
    write_text(path, "\n\n".join(blocks) + "\n")


def data_file(path: Path) -> Path:
    """The JSON file beside a page."""
    return path.with_suffix(".json")


def _runs(runs: Sequence[dict]) -> str:
    lines = []
    for number, run in enumerate(runs, 1):
        versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        lines.append(
            f"{number}. {run['date']}: {run['processor']}, {run['cores']} cores, "
            f"{run['memory_gb']} GB of memory; Python {run['python']}, {versions}."
            + (f" {run['note']}" if "note" in run else "")
        )
    if len(lines) == 1:
        return "Measured on " + lines[0].removeprefix("1. ")
    return "\n".join(
        ["Measured in several runs; the last column of a table says in which:", "", *lines]
    )


def _table(part: str, records: dict, several: bool) -> str:
    header, lines = _MAKERS.get(part, _peaks)(SECTIONS[part].subject, records)
    if several:
        header = [*header, "run"]
        numbers = [record["run"] + 1 for record in records.values() for _ in record["rows"]]
        lines = [[*line, number] for line, number in zip(lines, numbers, strict=True)]
    return markdown_table(header, lines)


def _entries(records: dict) -> list[tuple[str, dict]]:
    return [(subject, row) for subject, record in records.items() for row in record["rows"]]


def _count(number: int) -> str:
    return f"{number:,}"


def _more(row: dict, rows: Sequence[dict]) -> list[str]:
    """Peak, and how much it is above that of the fewest rows of the same start."""
    base = min(
        (one for one in rows if one.get("start") == row.get("start")), key=lambda one: one["rows"]
    )
    peak = f"{row['peak_mb']:.0f}"
    if base is row:
        return [peak, ""]
    return [peak, f"{round(row['peak_mb'] - base['peak_mb']):+d}"]


MORE = "growth, MB"


def _peaks(subject: str, records: dict) -> tuple[list, list]:
    lines = [
        [name, _count(row["rows"]), f"{row['seconds']:.1f}", *_more(row, records[name]["rows"])]
        for name, row in _entries(records)
    ]
    return [subject, "rows", "seconds", "peak, MB", MORE], lines


def _starts(subject: str, records: dict) -> tuple[list, list]:
    lines = [
        [
            name,
            _count(row["rows"]),
            row["start"],
            f"{row['seconds']:.1f}",
            f"{row['to_step_1']:.1f}",
            *_more(row, records[name]["rows"]),
        ]
        for name, row in _entries(records)
    ]
    return [subject, "rows", "start", "seconds", "to step 1", "peak, MB", MORE], lines


def _speeds(subject: str, records: dict) -> tuple[list, list]:
    lines = [
        [
            name,
            _count(row["rows"]),
            row["side"],
            ", ".join(f"{seconds:.1f}" for seconds in row["seconds"]),
            f"{row['rows_per_second']:,.0f}",
            f"{row['ratio']:.2f}",
            f"{row['peak_mb']:.0f}",
        ]
        for name, row in _entries(records)
    ]
    return [subject, "rows", "by", "seconds", "rows/s", "ratio", "peak, MB"], lines


def _waits(subject: str, records: dict) -> tuple[list, list]:
    lines = [
        [
            name,
            _count(row["rows"]),
            row["steps"],
            f"{row['loop_seconds']:.2f}",
            f"{row['wait_seconds']:.3f}",
            f"{100 * row['share']:.1f} %",
        ]
        for name, row in _entries(records)
    ]
    return [subject, "rows", "steps", "loop, s", "waited, s", "share"], lines


def _growth(subject: str, records: dict) -> tuple[list, list]:
    names = ("fetch", "first", "second")
    lines = [
        [
            name,
            _count(row["rows"]),
            *(f"{row[f'{one}_seconds']:.1f}" for one in names),
            *(f"{row[f'{one}_mb']:.0f}" for one in names),
        ]
        for name, row in _entries(records)
    ]
    header = [
        subject, "rows", "fetch, s", "first start, s", "second start, s",
        "fetch, peak MB", "first start, peak MB", "second start, peak MB",
    ]  # fmt: skip
    return header, lines


_MAKERS = {
    "train": _starts,
    "encoder": _starts,
    "throughput": _speeds,
    "waits": _waits,
    "growth": _growth,
}
