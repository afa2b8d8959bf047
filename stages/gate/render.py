"""What the gate found, for people in a terminal, for a Markdown page, and for programs."""

import json
import re
from dataclasses import dataclass, field

from stages.core.errors import one_line
from stages.core.text_table import difference, format_change, markdown_table, plain_table
from stages.gate.limits import shown
from stages.gate.rules import NOT_COMPARED, OFF, Verdict
from stages.gate.schema import RETIRED

COLOURS = {0: "\033[32m", 1: "\033[31m", 2: "\033[33m"}
RESET = "\033[0m"
# Rows that are there to be known, not judged.
UNJUDGED = (OFF, RETIRED, NOT_COMPARED, "new")
BASELINE = "baseline"
HEADER = ["task", "metric", "floor", BASELINE, "base", "now", "change", "tolerance", "verdict"]
OF_BASE = ("base", "change", "tolerance")
# Digits of an MD5 sum that a table has room for.
DIGITS = 10
# What Markdown gives a meaning within a line. An underscore has none within a word.
MARKUP = re.compile(r"([\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


@dataclass(frozen=True)
class Findings:
    """What one call of the gate found.

    verdicts: one for each gate, and for whatever else is wrong.
    warnings: what people should know and no gate judges.
    base: the revision that was compared with, as given, and its commit; None without.
    """

    verdicts: list[Verdict]
    warnings: list[str] = field(default_factory=list)
    base: tuple[str, str] | None = None

    @property
    def status(self) -> int:
        """The exit status: 2 wins over 1 wins over 0."""
        return max((one.status for one in self.verdicts), default=2)

    @property
    def problems(self) -> list[str]:
        """What is wrong, once each: several gates on one unreadable file are one problem."""
        return list(dict.fromkeys(one.message for one in self.verdicts if one.message))

    @property
    def summary(self) -> str:
        """One line of what came out."""
        judged = [one for one in self.verdicts if one.verdict not in UNJUDGED]
        if not self.status:
            return f"{len(judged)} gates hold"
        failed = sum(bool(one.status) for one in judged)
        return f"{failed} of {len(judged)} do not hold"


def rows(findings: Findings) -> list[list[str]]:
    """The header and a row for each verdict; without the columns of a base, or of baselines, if
    there are none.
    """
    table = [HEADER]
    apart = {one.task for one in findings.verdicts if one.data}
    for one in findings.verdicts:
        gate = one.gate
        base = _number(one.base)
        if one.base is None and one.value is not None and one.task not in apart:
            base = "new"
        now = _number(one.value) if one.std is None else f"{one.value:.6g} (std {one.std:.6g})"
        if one.data:
            base, now = (text[:DIGITS] for text in one.data)
        table.append(
            [
                one.task,
                one.metric,
                gate.floor,
                "" if one.baseline is None else str(one.baseline),
                base,
                now,
                format_change(one.base, one.value),
                "" if gate.tolerance is None else shown(gate.tolerance),
                one.verdict,
            ]
        )
    dropped = {*OF_BASE} if findings.base is None else set()
    if all(one.baseline is None for one in findings.verdicts):
        dropped.add(BASELINE)
    kept = [column not in dropped for column in HEADER]
    return [[cell for cell, keep in zip(row, kept, strict=True) if keep] for row in table]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def as_text(findings: Findings, colour: bool) -> str:
    """Aligned columns, the verdict in colour if asked for."""
    header, *table = ([one_line(cell) for cell in row] for row in rows(findings))
    if colour:
        for row, one in zip(table, findings.verdicts, strict=True):
            row[-1] = f"{COLOURS[one.status]}{row[-1]}{RESET}"
    return plain_table([header, *table])


def as_markdown(findings: Findings) -> str:
    """A section for a step summary or a comment: what came out, what is wrong, the table."""
    held = "" if findings.base is None else f", beside {' '.join(findings.base)}"
    header, *table = ([_escaped(cell) for cell in row] for row in rows(findings))
    for row, one in zip(table, findings.verdicts, strict=True):
        if one.status:
            row[-1] = f"**{row[-1]}**"
    parts = [f"### Gate: {findings.summary}{_escaped(held)}"]
    marked = [("error", line) for line in findings.problems]
    marked += [("warning", line) for line in findings.warnings]
    if marked:
        parts.append("\n".join(f"- {kind}: {_escaped(line)}" for kind, line in marked))
    parts.append(markdown_table(header, table))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is: no table's bar, code, link or tag."""
    marked = MARKUP.sub(r"\\\1", one_line(text))
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        marked = marked.replace(sign, entity)
    return marked


def as_json(findings: Findings) -> str:
    """All of it as one object; figures as they were read, a limit that is not there as null."""
    verdicts = []
    for one in findings.verdicts:
        change, gate = difference(one.base, one.value), one.gate
        verdicts.append(
            {
                "task": one.task,
                "metric": one.metric,
                "min": gate.min,
                "max": gate.max,
                "deviations": gate.deviations,
                "tolerance": gate.tolerance and gate.tolerance.amount,
                "relative": bool(gate.tolerance and gate.tolerance.relative),
                "beats": gate.beats,
                "margin": gate.margin and str(gate.margin),
                "baseline": one.baseline and one.baseline.value,
                "baseline_method": one.baseline and one.baseline.method,
                "data": one.data,
                "base": one.base,
                "value": one.value,
                "std": one.std,
                "change": None if change is None else float(change),
                "verdict": one.verdict,
                "status": one.status,
                "message": one.message,
            }
        )
    base = dict(zip(("rev", "commit"), findings.base or (), strict=False)) or None
    content = {
        "status": findings.status,
        "summary": findings.summary,
        "base": base,
        "verdicts": verdicts,
        "warnings": findings.warnings,
    }
    return json.dumps(content, indent=1, allow_nan=False)
