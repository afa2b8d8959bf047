"""The types and bounds of a configuration's entries, checked before anything is built of them."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from stages.core.errors import InputError, quoted
from stages.core.schema import Section, describe

# Above every model there is, and far below what would take minutes or overflow to build.
Size = Annotated[int, Field(ge=1, le=2**24)]
Layers = Annotated[int, Field(ge=1, le=1000)]
Rate = Annotated[float, Field(ge=0, lt=1)]
# A standard deviation, or an epsilon.
Scale = Annotated[float, Field(ge=0, le=1000)]
Token = Annotated[int, Field(ge=0, lt=2**31)]
MAX_LABELS = 100_000
ForcedIds = Annotated[
    list[Annotated[list[int | None], Field(min_length=2, max_length=2)]] | None,
    Field(description="a list of pairs of position and token's id"),
]


class Entries(Section):
    """What a family reads of its configuration; other entries are not looked at."""

    model_config = ConfigDict(extra="ignore")


def check_entries(entries: type[Entries], config: Any) -> None:
    """Check the attributes of `config` that `entries` has as fields.

    Raises:
        InputError: one of the wrong type or out of bounds, with its name and what is expected.
    """
    values = {name: getattr(config, name, None) for name in entries.model_fields}
    try:
        entries.model_validate(values)
    except ValidationError as error:
        name = error.errors(include_url=False, include_input=False)[0]["loc"][0]
        field = entries.model_fields[name]
        expected = field.description or describe(field)
        raise InputError(
            f"{name} is {quoted(values[name])}; expected {expected}; correct it"
        ) from None
