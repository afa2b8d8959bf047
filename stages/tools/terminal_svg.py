"""Draw terminal output as SVG: `make repro | python -m stages.tools.terminal_svg --output o.svg`.

A pipe gets no live lines: `tmux capture-pane -e -p` writes what stands on a terminal's screen.
Lines that are longer than `--width` are cut. The picture refers to no font or file elsewhere.
"""

import argparse
import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from stages.core.files import write_text

# What stands out: the prompt and the stage that a line comes from.
STYLES = {r"^\$ .*": "bold", r"^\[[^\]]+\]": "cyan"}


def draw(lines: list[str], title: str, width: int) -> str:
    """The SVG of a terminal window with these lines."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    for line in lines:
        text = Text.from_ansi(line)
        for pattern, style in STYLES.items():
            text.highlight_regex(pattern, style)
        text.truncate(width, overflow="ellipsis")
        console.print(text, highlight=False)
    svg = console.export_svg(title=title, theme=DIMMED_MONOKAI, unique_id="terminal")
    # Rich's own font would be fetched from a server.
    return re.sub(r"@font-face \{[^}]*\}\s*", "", svg)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.svg")
    parser.add_argument("--title", default="make repro", help="of the window")
    parser.add_argument("--width", type=int, default=100, help="columns (default: 100)")
    options = parser.parse_args()
    lines = sys.stdin.read().splitlines()
    write_text(options.output, draw(lines, options.title, options.width))


if __name__ == "__main__":
    main()
