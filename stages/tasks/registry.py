"""The tasks, each known here and nowhere else.

What a task needs besides its entry is found by name: its folder `stages/tasks/NAME/` with
`arguments`, `convert` and `baseline`; its script; and its block in `params.yaml`. Two modules of
the folder are optional: `mistakes`, if the report is to choose its worst mistakes in a special way,
and `typed`, if a text alone is no row to predict. CONTRIBUTING.md walks through adding a task.
"""

import importlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import ModuleType

from stages.core.metric_names import without_split


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    script: module of `stages` that trains, evaluates and predicts.
    suffix: ending of the files that `fetch` writes.
    form: the folder of `stages.tasks` whose `convert` writes these files; "" is the task's own.
    evaluation: flags with which the script scores a split; the file comes after them.
    curves: metrics on validation that `dvc plots` draws.
    main_metric: on the test split, what a model is compared by where no gate says it; "" is the
        first of `curves`.
    steps: what training does from some step on and its curve may show as a jump: the parameter
        that is the step, the one that must be above 1 for it, and what it does.
    baseline_settings: arguments that the baseline depends on too. Its `measure` takes them by
        name and has the same defaults: it does not import the arguments, so that a new flag runs
        no baseline again.
    model_types: types of model that have its head; none named are all.
    baseline_counts_tokens: its baseline needs the tokenizer of the model that the task starts from.
    baseline_metrics: what its baseline gives to be compared with, whatever data and settings:
        metrics without their split, or patterns of them; none named are any.
    """

    script: str
    suffix: str
    form: str = ""
    evaluation: str = "--do_eval --validation_file"
    curves: tuple[str, ...]
    main_metric: str = ""
    steps: tuple[tuple[str, str, str], ...] = ()
    model_types: tuple[str, ...] = ()
    baseline_counts_tokens: bool = False
    baseline_settings: tuple[str, ...] = ()
    baseline_metrics: tuple[str, ...] = ()

    def may_have_baseline(self, metric: str) -> bool:
        """Whether the baseline may have a figure of a metric of the model."""
        patterns = self.baseline_metrics or ("*",)
        return any(fnmatchcase(without_split(metric), pattern) for pattern in patterns)


ENCODERS = ("bert", "camembert", "distilbert", "roberta", "xlm-roberta")

TASKS = {
    "mlm": Task(
        script="run_mlm_flax",
        suffix=".txt",
        form="text",
        curves=("eval_perplexity",),
        steps=(
            (
                "mlm_span_start",
                "mlm_span_length",
                "training masks whole spans, which are harder to guess than single tokens",
            ),
        ),
        model_types=ENCODERS,
        baseline_counts_tokens=True,
        baseline_settings=("max_seq_length", "line_by_line", "mlm_probability", "seed"),
        baseline_metrics=("accuracy", "perplexity"),
    ),
    "glue": Task(
        script="run_flax_glue",
        suffix=".csv",
        curves=("eval_accuracy",),
        model_types=ENCODERS,
        baseline_settings=("task_name",),
        baseline_metrics=("accuracy", "f1", "matthews_correlation", "mse", "pearson", "spearmanr"),
    ),
    "ner": Task(
        script="run_flax_ner",
        suffix=".json",
        curves=("eval_f1",),
        model_types=ENCODERS,
        baseline_metrics=(
            "accuracy",
            "precision",
            "recall",
            "f1",
            "*_precision",
            "*_recall",
            "*_f1",
        ),
    ),
    "qa": Task(
        script="run_qa",
        suffix=".json",
        curves=("eval_f1", "eval_HasAns_f1", "eval_NoAns_f1"),
        model_types=ENCODERS,
        baseline_metrics=(
            "exact",
            "exact_match",
            "f1",
            "*Ans_exact",
            "*Ans_f1",
            "best_exact",
            "best_f1",
        ),
    ),
    "clm": Task(
        script="run_clm_flax",
        suffix=".json",
        curves=("eval_perplexity",),
        model_types=("gpt2",),
        baseline_counts_tokens=True,
        baseline_settings=("keep_linebreaks",),
        baseline_metrics=("accuracy", "perplexity", "bits_per_byte"),
    ),
    "t5_mlm": Task(
        script="run_t5_mlm_flax",
        suffix=".txt",
        form="text",
        curves=("eval_accuracy", "eval_content_accuracy"),
        model_types=("t5",),
        baseline_counts_tokens=True,
        baseline_settings=("max_seq_length", "mlm_probability", "mean_noise_span_length", "seed"),
        baseline_metrics=("accuracy", "content_accuracy"),
    ),
    "summarization": Task(
        script="run_summarization_flax",
        suffix=".json",
        evaluation="--do_predict --test_file",
        curves=("eval_loss",),
        main_metric="test_rouge1",
        model_types=("t5",),
        baseline_metrics=("rouge1", "rouge2", "rougeL", "rougeLsum", "names_right"),
    ),
    "speech": Task(
        script="run_flax_speech_recognition_seq2seq",
        suffix=".parquet",
        curves=("eval_wer",),
        baseline_settings=("normalisation", "do_lower_case"),
        baseline_metrics=("wer", "cer", "wer_raw", "cer_raw"),
        model_types=("whisper",),
    ),
}


def part_name(name: str, part: str) -> str:
    """The module that holds `part` of a task, `arguments` for example."""
    folder = (TASKS[name].form or name) if part == "convert" else name
    return f"stages.tasks.{folder}.{part}"


def load_part(name: str, part: str) -> ModuleType:
    """Import that module."""
    return importlib.import_module(part_name(name, part))


def arguments_class(name: str) -> type:
    """The typed arguments of a task: `GlueArguments` of `stages.tasks.glue.arguments`."""
    camel = "".join(word.title() for word in name.split("_"))
    return getattr(load_part(name, "arguments"), f"{camel}Arguments")
