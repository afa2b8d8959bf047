"""The graph of DVC's stages: what each needs, and what is downstream of a change."""

import re
from graphlib import TopologicalSorter

from stages.pipeline.dvc_process import run_dvc

# The two kinds of line in `dvc dag --dot` that matter: `"stage";` and `"upstream" -> "stage";`.
DOT_LINE = re.compile(r'^"([^"]+)"(?: -> "([^"]+)")?;$')


def parse_dot(text: str) -> dict[str, set[str]]:
    """Parse the output of `dvc dag --dot` into {stage: stages that it needs}."""
    needs: dict[str, set[str]] = {}
    for line in text.splitlines():
        match = DOT_LINE.match(line.strip())
        if not match:
            continue
        first, second = match.groups()
        needs.setdefault(first, set())
        if second:
            needs.setdefault(second, set()).add(first)
    return needs


def read_graph(targets: list[str]) -> dict[str, set[str]]:
    """Return {stage: stages that it needs} of the targets and everything upstream."""
    needs: dict[str, set[str]] = {}
    for target in targets:
        for stage, upstream in parse_dot(run_dvc("dag", "--dot", target)).items():
            needs.setdefault(stage, set()).update(upstream)
    return needs


def with_dependants(needs: dict[str, set[str]], changed: set[str]) -> set[str]:
    """Return the stages of `changed` and everything downstream of them."""
    found: set[str] = set()
    for stage in TopologicalSorter(needs).static_order():
        if stage in changed or needs[stage] & found:
            found.add(stage)
    return found
