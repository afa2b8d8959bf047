"""Time and memory at growing sizes of data, into a page of figures.

    python -m stages.tools.scale [--tasks glue clm] [--parts fetch train] [--sizes 10000 100000]

All parts at the sizes given by default take two hours on two cores, and 20 GB of disk. Parts or
tasks that are not run keep the figures that the page has.
"""

import argparse
import datetime
import os
import platform
import shutil
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stages.core.errors import InputError, command, nearest, quoted
from stages.core.files import user_cache
from stages.core.versions import installed_versions
from stages.tools.scale.bench import Bench
from stages.tools.scale.page import add_figures, data_file, read_figures, write_page
from stages.tools.scale.parts import PARTS, TASKS, Sizes, measure_task
from stages.tools.scale.processes import check_system


def this_run(note: str | None = None) -> dict:
    """When, where and with what the figures of this process are measured, and what a note says."""
    found = {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 10**9),
        "python": platform.python_version(),
        "versions": installed_versions(),
    }
    return found | ({"note": note} if note else {})


def processor() -> str:
    """The processor's name, as the kernel has it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def check_names(flag: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Refuse what is none of the known names.

    Raises:
        InputError: naming it, and those that there are.
    """
    for name in given:
        if name not in known:
            raise InputError(
                f"{flag}: unknown {quoted(name)}; expected some of {', '.join(known)}"
                f"{nearest(name, known)}"
            )


def count(text: str) -> int:
    """A number of rows or steps."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: expected 1 or more")
    return number


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sizes = Sizes()
    for flag, default, what in (
        ("--sizes", sizes.train, "rows to fetch and train on"),
        ("--eval_sizes", sizes.evaluate, "rows to evaluate on"),
        ("--generate_sizes", sizes.generate, "rows to generate from"),
        ("--metric_sizes", sizes.metric, "predictions to feed to a metric"),
        ("--clip_sizes", sizes.clip, "clips of speech"),
        ("--growth", sizes.growth, "lines of text for clm"),
    ):
        shown = " ".join(map(str, default))
        parser.add_argument(
            flag,
            nargs="+",
            type=count,
            default=default,
            metavar="N",
            help=f"{what} (default: {shown})",
        )
    parser.add_argument(
        "--wait_steps", type=count, default=sizes.wait_steps, metavar="N", help="steps of `waits`"
    )
    for flag, known in (("--tasks", TASKS), ("--parts", PARTS)):
        parser.add_argument(
            flag,
            nargs="+",
            default=list(known),
            metavar="NAME",
            help=f"some of {', '.join(known)} (default: all)",
        )
    parser.add_argument(
        "--note", metavar="TEXT", help="a sentence for the page, such as what else ran meanwhile"
    )
    parser.add_argument(
        "--work", type=Path, help="folder to make files and a cache in (default: the user's cache)"
    )
    parser.add_argument("--keep", action="store_true", help="leave those files where they are")
    parser.add_argument("--output", type=Path, default=Path("docs/scale.md"), help="the page")
    return parser.parse_args()


def interrupt(*_) -> None:
    """Do as on Ctrl-C, also where a shell in the background has it ignored."""
    raise KeyboardInterrupt


@command
def main() -> None:
    """Measure, and write the page after each subject."""
    options = parse()
    check_system()
    check_names("--tasks", options.tasks, TASKS)
    check_names("--parts", options.parts, list(PARTS))
    figures = read_figures(data_file(options.output))
    sizes = Sizes(
        train=options.sizes,
        evaluate=options.eval_sizes,
        generate=options.generate_sizes,
        metric=options.metric_sizes,
        clip=options.clip_sizes,
        growth=options.growth,
        wait_steps=options.wait_steps,
    )
    # As on Ctrl-C: the command in progress ends too, and the files go.
    previous = signal.signal(signal.SIGTERM, interrupt)
    run = this_run(options.note)
    parent = options.work or user_cache()
    parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own: what else is in the user's stays.
    work = Path(tempfile.mkdtemp(prefix="bench-data-", dir=parent)).resolve()
    try:
        bench = Bench(work)
        for task in filter(options.tasks.__contains__, TASKS):
            for part, subject, rows in measure_task(bench, task, options.parts, sizes):
                add_figures(figures, run, part, subject, rows)
                write_page(figures, options.output)
            if not options.keep:
                bench.clear(task)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, previous)
        if options.keep:
            print(f"files are kept in {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    print(f"wrote {options.output} and {data_file(options.output)}")


if __name__ == "__main__":
    main()
