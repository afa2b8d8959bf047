"""Write the newsroom that params.yaml describes: `python -m stages.newsroom`."""

import argparse
from pathlib import Path

from stages.core.errors import InputError, command
from stages.core.params import PARAMS_FILE, read_params
from stages.newsroom.build import Settings, build
from stages.newsroom.settings import parse_counts


@command
def main(argv: list[str] | None = None):
    parser = argparse.ArgumentParser(
        prog="python -m stages.newsroom", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--params_file", default=PARAMS_FILE, help="has the mapping `newsroom`")
    parser.add_argument("--output_dir", default="data/newsroom", help="folder to write")
    arguments = parser.parse_args(argv)
    params = read_params(arguments.params_file)
    if "newsroom" not in params:
        raise InputError(f"{arguments.params_file}: newsroom: missing; give seed and events")
    settings = Settings(*parse_counts(params["newsroom"], "events", arguments.params_file))
    build(settings, Path(arguments.output_dir))
    total = sum(settings.events.values())
    print(f"{total} events of seed {settings.seed} written to {arguments.output_dir}")


if __name__ == "__main__":
    main()
