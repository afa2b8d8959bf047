"""Classes that a data set gives by number, under the names that `datasets` notes for them."""

from typing import Any

import pyarrow as pa

from stages.core.errors import InputError


def noted_classes(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of the classes that `datasets` notes in a schema, by column."""
    import datasets

    return feature_classes(datasets.Features.from_arrow_schema(schema))


def feature_classes(features) -> dict[str, list[str]]:
    """The names of the classes of the columns that hold classes, or lists of them."""
    inner = {name: getattr(one, "feature", one) for name, one in (features or {}).items()}
    return {name: one.names for name, one in inner.items() if getattr(one, "names", None)}


def class_name(value: Any, classes: list[str], place: str) -> Any:
    """The name of a class that is given by its number, or the names of a list of them.

    -1, which means "not labelled" on the hub and in files, becomes text; what is no whole number
    stays.

    Raises:
        InputError: a number beyond the classes, with the row's place.
    """
    if isinstance(value, list):
        return [class_name(item, classes, place) for item in value]
    if not isinstance(value, int):
        return value
    if value >= len(classes):
        raise InputError(f"{place}: the class is {value}; there are {len(classes)} classes")
    return classes[value] if value >= 0 else str(value)
