"""Tables of text, for a terminal and for Markdown, and changes of figures as they show them."""

from collections.abc import Sequence
from decimal import Decimal

from tabulate import DataRow, TableFormat, tabulate

# Tabulate's own Markdown pads each cell to its column. Model cards are outputs of the pipeline:
# padded, one longer value would change every line of a card.
MARKDOWN = TableFormat(
    lineabove=None,
    linebelowheader=lambda widths, aligns: f"| {' | '.join(['---'] * len(widths))} |",
    linebetweenrows=None,
    linebelow=None,
    headerrow=DataRow("|", "|", "|"),
    datarow=DataRow("|", "|", "|"),
    padding=1,
    with_header_hide=None,
)


def plain_table(rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, one line per row however long, so that programs can search them too.

    Args:
        rows: all of one length; the first may be a header. Escape sequences count no width.
    """
    return tabulate(rows, tablefmt="plain", stralign="left", disable_numparse=True)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    """A Markdown table, without a newline at its end."""
    cells = [[str(cell) for cell in row] for row in rows]
    return tabulate(cells, header, tablefmt=MARKDOWN, stralign=None, disable_numparse=True)


def difference(old: float | None, new: float | None) -> Decimal | None:
    """`new` minus `old`, exact in the digits they are written with; None if one is missing."""
    if old is None or new is None:
        return None
    return Decimal(str(new)) - Decimal(str(old))


def format_change(old: float | None, new: float | None) -> str:
    """The difference with its sign and three digits, since more are noise; "" if there is none."""
    change = difference(old, new)
    return "" if change is None else f"{float(change):+.3g}"
