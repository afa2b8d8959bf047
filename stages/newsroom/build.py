"""Settings, and the pass over the events that writes the files of all views."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from stages.newsroom.card import card
from stages.newsroom.names import SPLITS
from stages.newsroom.reports import draw_story
from stages.newsroom.views import VIEWS


@dataclass(frozen=True)
class Settings:
    """The seed and the number of events of each split."""

    seed: int
    events: dict[str, int]


def build(settings: Settings, folder: Path) -> dict[tuple[str, str], Counter]:
    """Write all files into `folder`; return the number of rows by kind for each (view, split)."""
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
