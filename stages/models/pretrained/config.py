"""The configuration of a model folder."""

import dataclasses
from pathlib import Path

from transformers import CONFIG_MAPPING, PretrainedConfig

from stages.core.errors import InputError, one_line, quoted, shortened
from stages.core.strict_json import read_json_object
from stages.models.entries import MAX_LABELS

# Entries that change a model in a way that is not supported here, and what to do instead.
REFUSED = {
    "auto_map": "needs remote code, which is never run",
    "per_layer_config": "gives layers different sizes, which is not supported",
    "quantization_config": "means quantised weights, which are not supported",
}
PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")


def read_config(path: Path, supported: list[str]) -> PretrainedConfig:
    """Read `config.json` of a folder (or a JSON file itself) without running any of its code.

    Raises InputError if it is missing, broken, needs remote code or is of a model type that is not
    among `supported`.
    """
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            f"{path}: no config.json; give a folder that transformers' save_pretrained wrote"
        )
    values = read_json_object(file)
    for key, meaning in REFUSED.items():
        if values.get(key) is not None:
            raise InputError(
                f"{file}: {key} {meaning}; use a model without it, of one of these types: "
                f"{', '.join(supported)}"
            )
    kind = values.get("model_type")
    if kind not in supported:
        raise InputError(
            f"{file}: model_type {quoted(kind)} is not supported; supported: {', '.join(supported)}"
        )
    _check_values(file, CONFIG_MAPPING[kind], values)
    try:
        config = CONFIG_MAPPING[kind].from_dict(values)
        config.to_json_string()
    except Exception as error:  # transformers raises many types for values of a wrong type
        reason = shortened(one_line(" ".join(str(error).split())), 300)
        raise InputError(f"{file}: {reason}; correct the value in this file") from error
    return config


def _check_values(file: Path, cls: type[PretrainedConfig], values: dict) -> None:
    """Refuse what transformers takes from a file unseen: it sets an attribute for every key."""
    known = {"model_type", *(field.name for field in dataclasses.fields(cls))}
    for key in values.keys() - known:
        there = getattr(cls, key, None)
        if callable(there) or isinstance(there, (dict, tuple)):
            raise InputError(
                f"{file}: {shortened(key)} is no entry of a configuration; remove it from this file"
            )
    count = values.get("num_labels")
    if count is not None and not (type(count) is int and 1 <= count <= MAX_LABELS):
        raise InputError(
            f"{file}: num_labels is {quoted(count)}; expected a whole number from 1 to "
            f"{MAX_LABELS}; correct it"
        )
    names = values.get("architectures")
    if names is not None and not (
        isinstance(names, list) and all(isinstance(name, str) for name in names)
    ):
        raise InputError(
            f"{file}: architectures is {quoted(names)}; expected a list of class names; correct it"
        )
    specific = values.get("task_specific_params")
    if specific is not None and not (
        isinstance(specific, dict) and all(isinstance(one, dict) for one in specific.values())
    ):
        raise InputError(
            f"{file}: task_specific_params is {quoted(specific)}; expected a mapping of tasks to "
            "mappings; correct it"
        )
    problem = values.get("problem_type")
    if problem not in (None, *PROBLEMS):
        raise InputError(
            f"{file}: problem_type is {quoted(problem)}; expected one of {', '.join(PROBLEMS)}; "
            "correct it, or remove it"
        )
    labels = values.get("id2label")
    if isinstance(labels, dict) and not all(isinstance(name, str) for name in labels.values()):
        raise InputError(
            f"{file}: id2label is {quoted(labels)}; expected texts as names of the labels; "
            "correct it"
        )
    if isinstance(labels, dict) and set(labels) != {str(index) for index in range(len(labels))}:
        raise InputError(
            f"{file}: id2label has the keys {quoted(list(labels))}; expected 0, 1 and so on, "
            "without a gap; correct it"
        )
    if labels == {}:
        raise InputError(f"{file}: id2label is empty; give it a label, or remove it")
