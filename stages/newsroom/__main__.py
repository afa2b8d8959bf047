"""Write the embedded world: `python -m stages.newsroom [--params FILE] [--output_dir FOLDER]`."""

import argparse
from pathlib import Path

import yaml

from stages.errors import InputError, command
from stages.newsroom.build import Settings, build


@command
def main(argv: list[str] | None = None):
    parser = argparse.ArgumentParser(prog="python -m stages.newsroom", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="file with the mapping `newsroom`")
    parser.add_argument("--output_dir", default="data/newsroom", help="folder to write")
    arguments = parser.parse_args(argv)
    try:
        params = yaml.safe_load(Path(arguments.params).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{arguments.params}: cannot be read: {reason}") from None
    if not isinstance(params, dict) or "newsroom" not in params:
        raise InputError(f"{arguments.params}: newsroom: missing; give seed and events")
    settings = Settings.parse(params["newsroom"])
    build(settings, Path(arguments.output_dir))
    total = sum(settings.events.values())
    print(f"{total} events of seed {settings.seed} written to {arguments.output_dir}")


if __name__ == "__main__":
    main()
