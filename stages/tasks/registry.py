"""The tasks, each known here and nowhere else.

What a task needs besides its entry is found by name: its folder `stages/tasks/NAME/` with
`arguments`, `convert`, `baseline` and, if the report is to choose its worst mistakes in a special
way, `mistakes`; its script; and its block in `params.yaml`. CONTRIBUTING.md walks through adding
one.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    script: module of `stages` that trains, evaluates and predicts.
    suffix: ending of the files that `fetch` writes.
    form: the folder of `stages.tasks` whose `convert` writes these files; "" is the task's own.
    evaluation: flags with which the script scores a split; the file comes after them.
    curves: metrics on validation that `dvc plots` draws.
    model_types: types of model that have its head; none named are all.
    baseline_counts_tokens: its baseline needs the tokenizer of the model that the task starts from.
    """

    script: str
    suffix: str
    form: str = ""
    evaluation: str = "--do_eval --validation_file"
    curves: tuple[str, ...]
    model_types: tuple[str, ...] = ()
    baseline_counts_tokens: bool = False


ENCODERS = ("bert", "camembert", "distilbert", "roberta", "xlm-roberta")

TASKS = {
    "mlm": Task(
        script="run_mlm_flax",
        suffix=".txt",
        form="text",
        curves=("eval_perplexity",),
        model_types=ENCODERS,
        baseline_counts_tokens=True,
    ),
    "glue": Task(
        script="run_flax_glue",
        suffix=".csv",
        curves=("eval_accuracy",),
        model_types=ENCODERS,
    ),
    "ner": Task(
        script="run_flax_ner",
        suffix=".json",
        curves=("eval_f1",),
        model_types=ENCODERS,
    ),
    "qa": Task(
        script="run_qa",
        suffix=".json",
        curves=("eval_f1", "eval_HasAns_f1", "eval_NoAns_f1"),
        model_types=ENCODERS,
    ),
    "clm": Task(
        script="run_clm_flax",
        suffix=".json",
        curves=("eval_perplexity",),
        model_types=("gpt2",),
        baseline_counts_tokens=True,
    ),
    "t5_mlm": Task(
        script="run_t5_mlm_flax",
        suffix=".txt",
        form="text",
        curves=("eval_accuracy", "eval_content_accuracy"),
        model_types=("t5",),
        baseline_counts_tokens=True,
    ),
    "summarization": Task(
        script="run_summarization_flax",
        suffix=".json",
        evaluation="--do_predict --test_file",
        curves=("eval_loss",),
        model_types=("t5",),
    ),
    "speech": Task(
        script="run_flax_speech_recognition_seq2seq",
        suffix=".parquet",
        curves=("eval_wer",),
        model_types=("whisper",),
    ),
}


def part_name(name: str, part: str) -> str:
    """The module that holds `part` of a task: `arguments`, `convert`, `baseline`, `mistakes`."""
    folder = (TASKS[name].form or name) if part == "convert" else name
    return f"stages.tasks.{folder}.{part}"


def load_part(name: str, part: str) -> ModuleType:
    """Import that module."""
    return importlib.import_module(part_name(name, part))


def arguments_class(name: str) -> type:
    """The typed arguments of a task: `GlueArguments` of `stages.tasks.glue.arguments`."""
    camel = "".join(word.title() for word in name.split("_"))
    return getattr(load_part(name, "arguments"), f"{camel}Arguments")
