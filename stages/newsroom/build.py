"""Settings, and the one pass over the events that writes every view's files."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from stages.errors import InputError
from stages.newsroom.card import card
from stages.newsroom.names import SPLITS
from stages.newsroom.reports import draw_story
from stages.newsroom.views import VIEWS


@dataclass(frozen=True)
class Settings:
    """The world's seed and how many events each split has."""

    seed: int
    events: dict[str, int]

    @classmethod
    def parse(cls, node: object) -> "Settings":
        """Check the mapping `newsroom` of `params.yaml`."""
        _check_keys(node, "newsroom", ("seed", "events"))
        _check_keys(node["events"], "newsroom.events", SPLITS)
        _check_number(node["seed"], "newsroom.seed", 0)
        for split in SPLITS:
            _check_number(node["events"][split], f"newsroom.events.{split}", 1)
        return cls(node["seed"], {split: node["events"][split] for split in SPLITS})


def _check_keys(node: object, name: str, keys: tuple[str, ...]):
    if not isinstance(node, Mapping):
        raise InputError(f"{name}: expected a mapping with {', '.join(keys)}, got {node!r}")
    for key in node:
        if key not in keys:
            raise InputError(f"{name}.{key}: unknown key; the keys are {', '.join(keys)}")
    for key in keys:
        if key not in node:
            raise InputError(f"{name}.{key}: missing; give a whole number" if key != "events"
                             else f"{name}.{key}: missing; give {', '.join(SPLITS)}")  # fmt: skip


def _check_number(value: object, name: str, least: int):
    # A bool is an int to Python, but `seed: yes` is a slip.
    if type(value) is not int:
        raise InputError(f"{name}: expected a whole number, got {value!r}")
    if value < least:
        raise InputError(f"{name}: must be {least} or more, got {value}")


def build(settings: Settings, folder: Path) -> dict[tuple[str, str], Counter]:
    """Write all files into `folder`; gives back the counted kinds by (view, split)."""
    counts: dict[tuple[str, str], Counter] = {}
    for split in SPLITS:
        with ExitStack() as stack:
            open_views = []
            for view in VIEWS:
                path = folder / view.folder / f"{split}.{view.ending}"
                counts[view.folder, split] = Counter()
                writer = stack.enter_context(view.writer(path))
                open_views.append((view.rows, writer, counts[view.folder, split]))
            for index in range(settings.events[split]):
                story = draw_story(settings.seed, split, index)
                for rows, writer, counter in open_views:
                    for kinds, row in rows(story):
                        writer.add(row)
                        counter.update(kinds.split())
    text = card(settings.seed, settings.events, counts)
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
    return counts
