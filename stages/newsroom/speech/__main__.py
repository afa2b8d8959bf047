"""Write the newsroom's announcements as speech: `python -m stages.newsroom.speech`."""

import argparse
import time
from pathlib import Path

from stages.core.errors import command
from stages.core.files import atomic_folder
from stages.core.params import PARAMS_FILE, read_params, section, task_enabled
from stages.core.progress import Progress
from stages.newsroom.names import SPLITS
from stages.newsroom.settings import parse_counts
from stages.newsroom.speech.card import SWITCHED_OFF, card
from stages.newsroom.speech.synthesiser import Pool
from stages.newsroom.speech.write import write_split


def build(seed: int, utterances: dict[str, int], folder: Path, workers: int | None = None) -> None:
    """Write all files of the data set into `folder`.

    Args:
        seed: of the newsroom.
        utterances: their number, by split.
        folder: an empty folder.
        workers: number of synthesiser processes, on which the bytes do not depend.
    """
    total = sum(utterances.values())
    with Pool(workers) as pool, Progress("speaking", "utterance", total) as progress:
        counts = {
            split: write_split(folder, seed, split, utterances[split], pool, progress)
            for split in SPLITS
        }
    (folder / "README.md").write_text(card(seed, counts), encoding="utf-8", newline="\n")


@command
def main(argv: list[str] | None = None):
    """Write the folder atomically."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.newsroom.speech", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--params_file", default=PARAMS_FILE, help="has the mapping `newsroom`")
    parser.add_argument("--output_dir", default="data/newsroom-speech", help="folder to write")
    options = parser.parse_args(argv)
    params = read_params(options.params_file)
    seed, utterances = parse_counts(section(params, "newsroom", options.params_file), "utterances")
    target = Path(options.output_dir)
    started = time.perf_counter()
    with atomic_folder(target) as partial:
        if task_enabled(params, "speech", options.params_file):
            build(seed, utterances, partial)
            total = sum(utterances.values())
            seconds = time.perf_counter() - started
            message = f"{total} utterances of seed {seed} written to {target} in {seconds:.0f} s"
        else:
            (partial / "README.md").write_text(SWITCHED_OFF, encoding="utf-8", newline="\n")
            message = f"tasks.speech.enabled is false: nothing spoken, {target} says so"
    print(message)


if __name__ == "__main__":
    main()
