"""Check `params.yaml` as a whole, before any stage gives up what it made earlier.

    python -m stages.pipeline.check

DVC removes a stage's outputs before it runs the command, so a misspelt key is better found here:
`make repro` calls this first, and it takes a second. The stage `check` gives `--output`, a file
that all other stages wait for, and checks the files that were written from `params.yaml` as well.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from stages.core.arguments import flag_keys
from stages.core.errors import InputError, call_flags, command
from stages.core.files import home_folder, write_text
from stages.core.metric_names import without_split
from stages.core.params import PARAMS_FILE, names, read_params, section, task_of, task_values
from stages.core.schema import build, known_names
from stages.gate.schema import Gates, parse_gates
from stages.newsroom.licence import FOLDERS
from stages.newsroom.settings import parse_counts
from stages.pipeline import fetch_checkpoint, fetch_samples, make_tokenizer, seeds, unroll
from stages.pipeline.fetch import read_source
from stages.tasks.registry import TASKS, arguments_class

TOP = ("newsroom", "samples", "tokenizers", "checkpoints", "seeds", "tasks", "gates")
# Flags of the stages' commands, beside those that this check gives.
SET_BY_THE_PIPELINE = ("test_file", "metrics_file", "plots_dir", "run_dir", "plan_file")
# Folders of data that the pipeline itself makes.
MADE = (*FOLDERS.values(), "data/huggingface-fixtures")


def check_params(path: str = PARAMS_FILE) -> None:
    """Refuse the first key, type, value or folder in the parameter file that cannot be used.

    Raises:
        InputError: naming the key and what is expected.
    """
    params = read_params(path)
    known_names(params, TOP, path)
    tasks = names(params, "tasks", path)
    kinds = {name: task_of(params, name, list(TASKS), path) for name in tasks}
    if "newsroom" in params:
        parse_counts(params["newsroom"], "events", path)
        if "speech" in tasks:
            parse_counts(params["newsroom"], "utterances", path)
    if "samples" in params:
        fetch_samples.read_samples(path)
    for name in names(params, "tokenizers", path):
        make_tokenizer.read_entry(name, path)
    for name in names(params, "checkpoints", path):
        fetch_checkpoint.read_entry(name, path)
    if "speech" in tasks and "enabled" not in section(params, "tasks.speech", path):
        # DVC tracks it for the stage that makes the audio, and stops where it is not there.
        raise InputError(f"{path}: tasks.speech.enabled is missing; give true or false")
    for task in tasks:
        where = f"tasks.{task}"
        # As its train stage will be called: values that contradict each other show here too.
        stage = {
            "do_train": True,
            "output_dir": f"models/{task}",
            "train_file": f"data/{task}/train",
            "validation_file": f"data/{task}/validation",
        }
        cls = arguments_class(kinds[task])
        call_flags(flag_keys(cls, where), path)
        values = task_values(cls, params, where, path)
        for key in (*stage, *SET_BY_THE_PIPELINE):
            if key in values:
                raise InputError(f"{path}: {where}.{key} is set by the pipeline; leave it out")
        if not isinstance(params["tasks"][task].get("enabled", True), bool):
            # Text would do for the stages; the gate, which reads Git's copy, wants a truth value.
            raise InputError(
                f"{path}: {where}.enabled is text; write true or false, without quotation marks"
            )
        values |= {key: (value, key) for key, value in stage.items()}
        build(cls, values)
        source = read_source(task, path)
        if not source.source:
            raise InputError(
                f"{path}: {where}.data.source is missing; name the folder of the files"
            )
        made = any(Path(source.source).is_relative_to(folder) for folder in MADE)
        if not made and not source.dataset_name:
            for split in ("train", "validation", "test"):
                source.file(split)
    for name, entry in unroll.unroll(params, {}, path)["tasks"].items():
        types = TASKS[kinds[name]].model_types
        if types and entry["model_type"] not in types:
            raise InputError(
                f"{path}: tasks.{name}.model_name_or_path: {entry['model_name_or_path']} is a "
                f"{entry['model_type']}, which has no head for {kinds[name]}; use one of "
                f"{', '.join(types)}"
            )
    seeds.read_seeds(params, path)
    if "gates" in params:
        check_gates(parse_gates(params), kinds, path)


def check_gates(gates: Gates, kinds: Mapping[str, str], path: str) -> None:
    """Refuse a gate that cannot be judged by whatever comes out.

    Args:
        gates: as they are written.
        kinds: which of the registry's tasks each one is.
        path: of the parameter file.

    Raises:
        InputError: a gate that is badly written, or asks for a better figure than a baseline's that
            there is none of.
    """
    for gate in gates.bad:
        if gate.metric:  # a task without a gate may run; the gate says so then
            raise InputError(gate.message)
    for task, held in gates.held.items():
        known = TASKS[kinds[task]]
        for metric, gate in held.items():
            if gate.beats is not None and not known.may_have_baseline(metric):
                raise InputError(
                    f"{path}: gates.{task}.{metric}.beats: no simple method has a figure of "
                    f"{without_split(metric)}; of {kinds[task]} they have "
                    f"{', '.join(known.baseline_metrics)}: name one of these, or give a min or max"
                )


@command
def main() -> None:
    """Check the parameter file; silent where all is well."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--params_file", default=PARAMS_FILE)
    parser.add_argument("--output", help="file to write where these and the files are all well")
    options = parser.parse_args()
    home_folder()  # without one DVC ends in a traceback
    check_params(options.params_file)
    if options.output:
        unroll.check_files(unroll.files(options.params_file))
        # The same whatever the parameters: nothing is stale because they were checked again.
        write_text(options.output, f"{options.params_file} can be used\n")


if __name__ == "__main__":
    main()
