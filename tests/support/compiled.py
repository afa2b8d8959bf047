"""What XLA compiled, from the files that `--xla_dump_to` writes."""

import re
from pathlib import Path

DOT = re.compile(r"%(\S+) = \S+ dot\(")
PROGRAM = ".cpu_after_optimizations.txt"
LIBRARIES = ("ynn", "onednn", "__xnn", "convolution(")


def library_products(folder: Path) -> dict[str, list[str]]:
    """{program: its products that XLA did not compile itself}, of programs for the CPU.

    Of those that it did, there is a file of code.
    """
    found = {}
    for path in sorted(folder.glob(f"*{PROGRAM}")):
        text, program = path.read_text(), path.name.removesuffix(PROGRAM)
        lines = [line for line in text.splitlines() if any(name in line for name in LIBRARIES)]
        for match in DOT.finditer(text):
            code = f"{program}.{match[1]}_elemental_kernel_module.ir-no-opt.ll"
            if not (folder / code).exists():
                lines.append(match[0])
        found[path.name] = lines
    return found
