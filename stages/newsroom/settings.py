"""The mapping `newsroom` of params.yaml: the world's seed, and how much of it is written."""

from pydantic import Field

from stages.core.params import PARAMS_FILE
from stages.core.schema import Section, build_section


class Counts(Section):
    """Reports or announcements, by split."""

    train: int = Field(ge=1)
    validation: int = Field(ge=1)
    test: int = Field(ge=1)


class WrittenSettings(Section):
    """For the reports; the announcements are another stage's, which checks them."""

    seed: int = Field(ge=0)
    events: Counts
    utterances: object = None


class SpokenSettings(Section):
    """For the announcements; the reports are another stage's, which checks them."""

    seed: int = Field(ge=0)
    events: object = None
    utterances: Counts


def parse_counts(node: object, counted: str, path: str = PARAMS_FILE) -> tuple[int, dict[str, int]]:
    """The seed, and the numbers by split under the key `counted`: `events` or `utterances`.

    Raises:
        InputError: an unknown key, a missing one, or a value that is no whole number.
    """
    cls = {"events": WrittenSettings, "utterances": SpokenSettings}[counted]
    settings = build_section(cls, node, f"{path}: newsroom")
    return settings.seed, getattr(settings, counted).model_dump()
