"""What a trained folder remembers: `flaxmill.json`, the arguments that its predictions need.

The field of each argument says whether it is among them (`stages.core.schema.FOR_PREDICTION`).
`--do_eval` and `--do_predict` without `--do_train` take them as their defaults, so that the folder
alone says how its model is to be used. PyTorch's transformers passes the file over.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from stages.core.arguments import given_values
from stages.core.errors import InputError, quoted
from stages.core.files import write_json
from stages.core.schema import Section, build, build_section, kept_for, known_names
from stages.core.strict_json import read_json_object
from stages.data.source import has_source_columns, read_source_columns
from stages.models.pretrained.folder import KEPT, local_folder
from stages.training.arguments import CommonArguments
from stages.training.input_arguments import InputArguments

# What the user gives or a folder keeps: {argument: (value, what a message calls it)}.
Values = dict[str, tuple[Any, str]]
TaskArguments = TypeVar("TaskArguments", bound=CommonArguments)


class Kept(Section):
    """The content of the file."""

    task: str = Field(description="the task that the model was trained for")
    arguments: dict[str, Any] = Field(description="the arguments that its predictions need")
    source_columns: dict[str, str] = Field(
        {}, description="columns that the source of its data has under other names, by arguments"
    )


class _Start(InputArguments):
    enabled: bool = True
    do_train: bool = False
    do_eval: bool = False
    do_predict: bool = False


def arguments_to_keep(args: CommonArguments, columns: Mapping[str, str]) -> dict[str, Any]:
    """The arguments that prediction or evaluation needs, in the order of their names.

    Args:
        args: the task's arguments.
        columns: argument to the column that was chosen for it, where it was not given.
    """
    values = args.as_dict()
    return {
        name: columns.get(name) if values[name] is None else values[name]
        for name, field in sorted(type(args).model_fields.items())
        if kept_for(field)
    }


def source_columns_to_keep(args: CommonArguments) -> dict[str, str]:
    """Argument to the column's name in the source of the training data, where it is another.

    Args:
        args: the task's arguments.

    Raises:
        InputError: what `read_source_columns` refuses.
    """
    found = read_source_columns(args.train_file)
    return {name: column for name, column in found.items() if name in type(args).model_fields}


def write_kept(
    args: CommonArguments, kept: Mapping[str, Any], source_columns: Mapping[str, str]
) -> None:
    """Write the file into the folder of a trained model: the same training gives the same bytes.

    Args:
        args: the task's arguments.
        kept: what `arguments_to_keep` gives.
        source_columns: what `source_columns_to_keep` gives.
    """
    content = {"arguments": kept, "task": args.task_folder()}
    if source_columns:
        content["source_columns"] = source_columns
    write_json(Path(args.output_dir) / KEPT, content)


def find_kept(name: str, **hub) -> Path | None:
    """The file of a model's folder; None where there is none.

    Args:
        name: folder or hub id.
        hub: `revision`, `cache_dir` and `token`.

    Raises:
        InputError: neither a folder nor a model on the hub that can be reached.
    """
    file = local_folder(name, **hub) / KEPT
    return file if file.exists() else None


def read_kept(file: Path) -> Kept:
    """The content of the file.

    Raises:
        InputError: it is damaged, or another program's; names the file and what to do.
    """
    try:
        return build_section(Kept, read_json_object(file), str(file))
    except InputError as error:
        raise InputError(f"{error}; or remove the file and give its arguments as flags") from None


def kept_values(cls: type[CommonArguments], given: Values) -> tuple[Values, dict[str, str]]:
    """What evaluation and prediction take from the model's folder, below what the user gives.

    Nothing where something is trained, or for a model of another task, which one line says.

    Args:
        cls: the task's class of arguments.
        given: by the user.

    Returns:
        The values, and `source_columns` for the columns that are not given; none for files that
        fetch wrote.

    Raises:
        InputError: what `read_kept` refuses; an argument that the task does not keep.
    """
    start = build(_Start, {name: given[name] for name in _Start.model_fields if name in given})
    trains = start.do_train or start.new_weights
    if trains or not start.enabled or not (start.do_eval or start.do_predict):
        return {}, {}
    file = find_kept(start.model_name_or_path, **start.hub_options)
    if file is None:
        return {}, {}
    kept = read_kept(file)
    if kept.task != cls.task_folder():
        print(f"{file}: of a model for {kept.task}, so nothing is taken from it")
        return {}, {}
    purposes = {name: kept_for(field) for name, field in cls.model_fields.items()}
    where = f"{file}: arguments"
    known_names(kept.arguments, [name for name, purpose in purposes.items() if purpose], where)
    known_names(kept.source_columns, list(purposes), f"{file}: source_columns")
    wanted = ("prediction", "evaluation") if start.do_eval else ("prediction",)
    values = {
        name: (value, f"{where}.{name}")
        for name, value in kept.arguments.items()
        if purposes[name] in wanted
    }
    columns = {name: one for name, one in kept.source_columns.items() if name not in given}
    standard = any(map(has_source_columns, filter(None, (start.validation_file, start.test_file))))
    return values, {} if standard else columns


def say_differences(args: CommonArguments, kept: Values) -> None:
    """One line for each argument that the user gave and that the folder has another value of."""
    for name, (value, where) in kept.items():
        used = getattr(args, name)
        if used != value:
            file = where.partition(": ")[0]
            print(f"--{name} {quoted(used)} is used; {file} has {quoted(value)}", flush=True)


def parse_arguments(cls: type[TaskArguments], description: str) -> TaskArguments:
    """The arguments of a task's command, above those that the model's folder keeps.

    Args:
        cls: the task's class of arguments.
        description: for `--help`.

    Raises:
        InputError: what `stages.core.arguments.parse` and `kept_values` refuse.
    """
    given = given_values(cls, description)
    kept, source_columns = kept_values(cls, given)
    args = build(cls, kept | given).with_source_columns(source_columns)
    say_differences(args, kept)
    return args
