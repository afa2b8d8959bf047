"""Write an HTML page about the run: `python -m stages.report [--base REV] [--output FILE]`.

It shows the gate, metrics and curves compared with those of the base, the worst mistakes, times and
versions. The page is one file that can be read offline, on a phone too. Nothing is run for it: if
there are no predictions (`results/`), it says so and shows the rest.
"""

import argparse
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.core.errors import command
from stages.core.files import write_text
from stages.gate.base import parse_options
from stages.gate.render import rows
from stages.report.content import audio_type, data_uri, gather


@command
def main(argv: list[str] | None = None) -> None:
    """Write the page and say where."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--output", type=Path, default=Path("report.html"), help="default: report.html"
    )
    options = parse_options(parser, argv)
    content = gather(options.repo_dir, options.base, fork=options.merge_base)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    page = environment.get_template("page.html.jinja").render(
        content=content,
        gate=rows(content.findings),
        audio=lambda clip: data_uri(audio_type(clip), clip),
    )
    # Half an emoji, in a text or a name, is no UTF-8: it is shown as an escape.
    page = page.encode("utf-8", "backslashreplace").decode()
    write_text(options.output, page)
    print(f"{options.output}: {content.findings.summary}; {len(page.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
