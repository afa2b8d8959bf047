"""Aligned columns for a terminal, one line a row however long: a program can search them too."""

from collections.abc import Sequence
from decimal import Decimal

PLAIN = "\033[0m"


def moved(old: float | None, new: float | None) -> Decimal | None:
    """From `old` to `new`, reckoned as they are written; None where one of them is not there."""
    if old is None or new is None:
        return None
    return Decimal(str(new)) - Decimal(str(old))


def shown_change(old: float | None, new: float | None) -> str:
    """The same for a table: its sign and three digits, as more of them are noise; "" for None."""
    change = moved(old, new)
    return "" if change is None else f"{float(change):+.3g}"


def aligned(rows: Sequence[Sequence[str]], colours: Sequence[str] | None = None) -> list[str]:
    """A line for each row, its cells padded to the widest of their column.

    Args:
      rows: all of one length; the first may be a header.
      colours: an escape sequence for the last cell of each row; "" for none.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row, colour in zip(rows, colours or [""] * len(rows), strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        last = f"{colour}{row[-1]}{PLAIN}" if colour else row[-1]
        lines.append("  ".join([*cells, last]).rstrip())
    return lines
