"""The files of a new profile."""

import argparse
import shutil
import textwrap
from pathlib import Path

import yaml

from stages.core.files import write_text
from stages.gate.limits import NO_GATE
from stages.pipeline.new_profile.model import Start
from stages.tasks.own_data import Plan
from stages.tasks.registry import TASKS, arguments_class

LINKS = ("stages", "requirements.lock", ".dvcignore")
PIPELINE = """# How dvc.yaml here differs from the project's; `make repro` writes it.
without: [newsroom, newsroom-speech]
stages: {}
"""
SECTIONS = {
    "tokenizers": "New models: a tokenizer of the training text, and the model's configuration.",
    "checkpoints": "Models of the hub.",
    "seeds": "Tasks to run with further seeds too, `glue: [7, 8]`.",
    "tasks": "Steps, lengths and batch follow from the rows above; `--help` of the script has all "
    "keys.",
    "gates": "The figure on the test split must beat the best simple method. After a run, a "
    "minimum can take its place: `{min: 0.9, tolerance: 0.01}`. What has a tolerance alone is "
    "compared with another revision: `make gate BASE=main`.",
}
# Of a training that comes before: it is good for something if the task's own figure is good.
TOLERANCE = "10%"


def write_profile(
    folder: Path, options: argparse.Namespace, plan: Plan, start: Start, said: list[str]
) -> None:
    """Write `params.yaml`, `pipeline.yaml` and what makes the folder a project of DVC.

    Args:
        folder: of the profile, with its data.
        options: of the command.
        plan: the task's.
        start: the model.
        said: what was found out about the data, for the comment on top.
    """
    tokenizers = {}
    if plan.tokenizer is not None:
        text = f"data/{options.task}/train{TASKS[options.task].suffix}"
        tokenizers = {start.tokenizer: {"text": text, **plan.tokenizer}}
    trained_first = {plan.first.task: plan.first.block} if plan.first else {}
    sections = {
        "tokenizers": tokenizers,
        "checkpoints": {start.name: start.checkpoint} if start.checkpoint else {},
        "seeds": {},
        "tasks": {**trained_first, options.task: plan.task},
        "gates": {options.task: plan.gates},
    }
    if plan.first:
        sections["gates"][plan.first.task] = {
            metric: {"tolerance": TOLERANCE, "better": NO_GATE.directed(metric).better}
            for metric in arguments_class(plan.first.task).main_metrics
        }
    top = "".join(_comment(line, "#   ", "#     ") for line in said)
    texts = [f"# Made by `make new PROFILE={options.name} TASK={options.task}`. The data:\n{top}"]
    for name, section in sections.items():
        content = yaml.safe_dump({name: section}, sort_keys=False, width=1000, allow_unicode=True)
        texts.append(_comment(SECTIONS[name]) + content)
    write_text(folder / "params.yaml", "\n".join(texts))
    write_text(folder / "pipeline.yaml", PIPELINE)
    (folder / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copyfile(Path(".dvc", name), folder / ".dvc" / name)
    for name in LINKS:
        (folder / name).symlink_to(Path("../..") / name)


def _comment(text: str, first: str = "# ", further: str = "# ") -> str:
    return textwrap.fill(text, 100, initial_indent=first, subsequent_indent=further) + "\n"
