"""Which operations have the same bytes on other processors: `make portable` writes the page.

Three processors with other instructions and caches are emulated by QEMU's user mode (the package
`qemu-user` of Debian and Ubuntu). It has no AVX-512: what that changes shows where this machine has
it. Single operations take about a quarter of an hour, the eight tasks hours.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from support import small_pipeline
from support.paths import ROOT

from stages.core.errors import InputError, command
from stages.core.files import write_text
from stages.core.text_table import markdown_table
from stages.tools.scale.__main__ import processor

HERE = Path(__file__).parent
PAGE = ROOT / "docs/portable.md"
EMULATOR = "qemu-x86_64"
# Of instructions that no operation here needs.
NOT_EMULATED = "TCG doesn't support requested feature"
THREADS = (2, 4)
# Intel and AMD, 2013 to 2019.
PROCESSORS = ("Haswell", "EPYC", "Icelake-Server-noTSX")

OPERATIONS = ("operations.py",)
# Enough to train the tokenizers on; the tasks read a few rows.
ROWS = {
    "events": {"train": 300, "validation": 20, "test": 20},
    "utterances": {"train": 60, "validation": 10, "test": 10},
}

# {family: {case: digest}}
Digests = Mapping[str, Mapping[str, str]]


def run(threads: int, cpu: str | None = None, words: tuple[str, ...] = OPERATIONS) -> Digests:
    """Digests on this processor, or on an emulated one; messages name it.

    Args:
        threads: that share an operation, if the program does not say.
        cpu: an emulated processor.
        words: a program of this folder, and its arguments.

    Raises:
        InputError: there is no emulator, or the program fails on it.
    """
    python = [sys.executable]
    if cpu is not None:
        if shutil.which(EMULATOR) is None:
            raise InputError(
                f"{EMULATOR} is not installed: `apt-get install qemu-user`, or what has QEMU's "
                "user mode on your system"
            )
        # The interpreter itself: the emulator runs no scripts, and follows no links of a venv.
        python = [EMULATOR, "-cpu", cpu, os.path.realpath(sys.executable)]
    environment = os.environ | {
        "NPROC": str(threads),
        "JAX_COMPILATION_CACHE_DIR": "",  # a program compiled for another processor
        "PYTHONPATH": os.pathsep.join([sysconfig.get_paths()["purelib"], str(ROOT)]),
    }
    line = [*python, str(HERE / words[0]), *words[1:]]
    where = cpu or f"{threads} threads"
    with TemporaryFile("w+") as output:
        pipes = {"stdout": output, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(line, env=environment, **pipes) as process:
            for message in process.stderr:
                if NOT_EMULATED not in message:  # once for each thread
                    print(f"{where}: {message}", end="", file=sys.stderr, flush=True)
        if process.returncode:
            raise InputError(f"{' '.join(line)} ended with {process.returncode}; see above")
        output.seek(0)
        return json.load(output)


def same(found: Digests, expected: Digests, family: str) -> list[str]:
    """The cases of a family that have the expected bytes."""
    return [name for name, value in expected[family].items() if found[family].get(name) == value]


def table(expected: Digests, others: Mapping[str, Digests]) -> str:
    """A row for each family: how many cases are the same, in each column of the others."""
    rows = []
    for family, cases in expected.items():
        counts = [len(same(found, expected, family)) for found in others.values()]
        cells = ["all" if count == len(cases) else f"**{count}**" for count in counts]
        rows.append([family, str(len(cases)), *cells])
    return markdown_table(("operations", "cases", *others), rows)


def differing(expected: Digests, others: Mapping[str, Digests]) -> list[str]:
    """A line for each family of which some cases differ but not all, with their names."""
    lines = []
    for family, cases in expected.items():
        kept = set.intersection(*(set(same(one, expected, family)) for one in others.values()))
        if 0 < len(kept) < len(cases):
            names = ", ".join(name for name in cases if name not in kept)
            lines.append(f"- {family}: {names}")
    return lines


def page(expected: Digests, others: Mapping[str, Digests]) -> str:
    """The text of docs/portable.md."""
    return "\n".join(
        [
            "# Which operations have the same bytes on other processors",
            "",
            "`make portable` wrote this page. Each case is one operation, compiled by itself, from "
            "the same arguments. A column counts the cases with the bytes that one thread gives on "
            f"the machine of the page: {processor()}. Other columns are more threads there, and "
            "processors that QEMU emulates, with one thread; QEMU has no AVX-512.",
            "",
            table(expected, others),
            "",
            "What differs somewhere, in families of which not all does:",
            "",
            *differing(expected, others),
            "",
        ]
    )


def prepare(folder: Path) -> None:
    """A project with the embedded settings, and the data and tokenizers of a few reports."""
    small_pipeline.make_project(folder, {"newsroom": ROWS})
    sections = small_pipeline.params(folder)
    small_pipeline.repro(
        folder,
        *(f"fetch@{task}" for task in sections["tasks"]),
        *(f"tokenizer@{name}" for name in sections["tokenizers"]),
    )


@command
def main() -> None:
    """Run all, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        prepare(Path(folder, "project"))

        def both(threads: int, cpu: str | None = None) -> Digests:
            output = str(Path(folder, f"{cpu or 'native'}-{threads}"))
            words = ("trainings.py", str(Path(folder, "project")), output)
            return {**run(threads, cpu), **run(threads, cpu, words)}

        expected, *others = [both(threads) for threads in (1, *THREADS)]
        names = [f"{threads} threads" for threads in THREADS]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # each computes with one thread
            others += pool.map(partial(both, 1), PROCESSORS)
    compared = dict(zip([*names, *PROCESSORS], others, strict=True))
    write_text(options.page, page(expected, compared))
    print(f"wrote {options.page}")


if __name__ == "__main__":
    main()
