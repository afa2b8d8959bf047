"""The `dvc.yaml` of a profile: the project's own, changed as the profile's `pipeline.yaml` says.

    without: [newsroom, tokenizer]    # stages of the project that the profile has not
    stages: {samples: {...}}          # further stages, which come first

It is a copy, not a link: through a link DVC runs a pipeline, but `metrics diff`, `params diff`,
`plots diff` and `exp show` cannot read it at a Git revision.
"""

from pathlib import Path

import yaml

from stages.core.errors import InputError
from stages.core.params import read_params
from stages.core.schema import known_names

PIPELINE_FILE, PROFILE_FILE = "dvc.yaml", "pipeline.yaml"
PROJECT = Path("../..")
HEADER = (
    "# Written by `python -m stages.pipeline.unroll` from ../../dvc.yaml and pipeline.yaml; do not "
    "edit.\n"
)


def stage_spans(text: str) -> dict[str, tuple[int, int]]:
    """{stage: its first line and the one after its last}, comments before it included."""
    root = yaml.compose(text)
    ((_, stages),) = ((key, value) for key, value in root.value if key.value == "stages")
    lines = text.splitlines()
    starts = []
    for key, _ in stages.value:
        line = key.start_mark.line
        while lines[line - 1].lstrip().startswith("#"):
            line -= 1
        starts.append(line)
    ends = [*starts[1:], stages.end_mark.line]
    names = [key.value for key, _ in stages.value]
    return {name: span for name, *span in zip(names, starts, ends, strict=True)}


def profile_pipeline(project: Path = PROJECT, folder: Path = Path()) -> str:
    """The text of a profile's `dvc.yaml`.

    Args:
        project: the folder of the pipeline's text.
        folder: that of the profile.

    Raises:
        InputError: a key that `pipeline.yaml` cannot have, or a stage that the pipeline has not.
    """
    path = str(folder / PROFILE_FILE)
    changes = read_params(path)
    known_names(changes, ("without", "stages"), path)
    text = (project / PIPELINE_FILE).read_text(encoding="utf-8")
    spans = stage_spans(text)
    without = changes.get("without") or []
    known_names(dict.fromkeys(without), list(spans), f"{path}: without")
    own = changes.get("stages") or {}
    for name in own:
        if name in spans and name not in without:
            raise InputError(
                f"{path}: stages.{name} is in {PIPELINE_FILE} too; add it to `without`"
            )
    dropped = {line for name in without for line in range(*spans[name])}
    lines = text.splitlines(keepends=True)
    first = min(start for start, _ in spans.values())
    body = yaml.safe_dump(own, sort_keys=False, width=1000) if own else ""
    inserted = "".join(f"  {line}\n" if line else "\n" for line in body.splitlines())
    kept = [line for number, line in enumerate(lines) if number >= first and number not in dropped]
    # The project's comment on top says how to edit it.
    begin = next(number for number, line in enumerate(lines) if not line.startswith(("#", "\n")))
    return HEADER + "\n" + "".join(lines[begin:first]) + inserted + "\n" + "".join(kept)
