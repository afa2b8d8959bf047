"""What XLA compiled, from the files that `--xla_dump_to` writes."""

import re
from pathlib import Path

# A product in an optimised program: its shape, the axes of the batch, and those that are summed.
DOT = re.compile(
    r"= f32\[([\d,]*)\]\S* dot\(.*?\), (?:lhs_batch_dims=\{([\d,]*)\}, )?"
    r"lhs_contracting_dims=\{(\d+)\}, "
    r"(?:rhs_batch_dims=\{[\d,]*\}, )?rhs_contracting_dims=\{(\d+)\}"
)
LIBRARIES = ("ynn", "onednn", "__xnn", "convolution(")


def library_products(folder: Path) -> dict[str, list[str]]:
    """{program: its products that XLA did not compile itself}, of programs for the CPU.

    It compiles a product of a single row or column in any form, and others in one: the last axis
    of the first factor against the first behind the batch of the second.
    """
    found = {}
    for path in sorted(folder.glob("*.cpu_after_optimizations.txt")):
        text = path.read_text()
        lines = [line for line in text.splitlines() if any(name in line for name in LIBRARIES)]
        for match in DOT.finditer(text):
            shape = [int(size) for size in match[1].split(",") if size]
            batch = len(match[2].split(",")) if match[2] else 0
            if len(shape) - batch < 2 or 1 in shape[batch:]:
                continue
            if (int(match[3]), int(match[4])) != (batch + 1, batch):
                lines.append(match[0])
        found[path.name] = lines
    return found
