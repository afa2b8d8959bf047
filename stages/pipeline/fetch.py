"""Bring a task's data to `data/TASK/`: checked, in the task's standard form.

    python -m stages.pipeline.fetch glue

A row that is wrong fails here, before anything made earlier is replaced. Beside the files lie the
names that their columns have in the source, where these are others: a trained model keeps them.
"""

import argparse
from pathlib import Path

from stages.core.errors import call_flags, command
from stages.core.files import atomic_folder, write_json
from stages.core.params import DATA_GROUP, PARAMS_FILE, read_params, section, task_enabled, task_of
from stages.core.progress import doing
from stages.core.schema import build_section
from stages.data.columns import say_columns
from stages.data.hub import fetch_split
from stages.data.source import SOURCE_COLUMNS, SPLITS, DataSource
from stages.tasks.registry import TASKS, load_part

SPLIT_NAMES = {
    "train": "train_split_name",
    "validation": "eval_split_name",
    "test": "test_split_name",
}


def read_source(name: str, params_file: str = PARAMS_FILE) -> DataSource:
    """The checked group `data` of `tasks.NAME`."""
    where = f"tasks.{name}.{DATA_GROUP}"
    params = read_params(params_file)
    standard = load_part(task_of(params, name, list(TASKS), params_file), "convert")
    place = f"{params_file}: {where}"
    return build_section(standard.Source, section(params, where, params_file), place).at(place)


def left_out(name: str, source: DataSource, params_file: str = PARAMS_FILE) -> bool:
    """Whether a task is switched off and the stage that makes its data made none on that account.

    Data that are there are fetched all the same: then nothing is to be fetched once it is on.
    """
    if task_enabled(read_params(params_file), name, params_file):
        return False
    return not any(Path(source.source).glob("train*"))


@command
def main() -> None:
    """Write `data/TASK/{train,validation,test}` and `source_columns.json`, or nothing."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", metavar="TASK", help="a key under `tasks` in the parameter file")
    parser.add_argument("--params_file", default=PARAMS_FILE)
    parser.add_argument("--output_dir", help="default: data/TASK")
    options = parser.parse_args()

    params = read_params(options.params_file)
    task = task_of(params, options.name, list(TASKS), options.params_file)
    standard, suffix = load_part(task, "convert"), TASKS[task].suffix
    source = read_source(options.name, options.params_file)
    where = f"tasks.{options.name}.{DATA_GROUP}"
    call_flags(
        {name: f"{where}.{name}" for name in standard.Source.model_fields}, options.params_file
    )
    nothing = hasattr(standard, "write_nothing") and left_out(
        options.name, source, options.params_file
    )
    target = Path(options.output_dir or f"data/{options.name}")
    renamed = {}
    with atomic_folder(target) as partial:
        for split in SPLITS:
            if nothing:
                standard.write_nothing(partial / f"{split}{suffix}")
                print(f"{options.name}: switched off, no row of {split}")
                continue
            if source.dataset_name:
                with doing(f"fetching {split} of {source.dataset_name}"):
                    path = fetch_split(source, getattr(source, SPLIT_NAMES[split]))
            else:
                path = source.file(split)
            with doing(f"checking {path}"):
                read = standard.convert(str(path), partial / f"{split}{suffix}", source)
            say_columns(str(path), read.chosen.columns)
            print(f"{options.name}: {read.rows} rows of {split} from {path}")
            if split == "train":
                renamed = read.chosen.renamed_columns
        write_json(partial / SOURCE_COLUMNS, renamed)


if __name__ == "__main__":
    main()
