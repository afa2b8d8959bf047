"""Send all that `dvc.lock` records to the remote: `make push`.

`dvc push` sends neither metrics nor plots, since Git holds them, and so another clone that is about
to run the same finds in the run-cache that it was run, but not all that came of it, and runs it
again. Here they go with the rest. Options are those of `dvc push`.
"""

import argparse
import sys

from dvc.cli import main as dvc
from dvc.repo import Repo


def outside_cache(repo: Repo) -> set:
    """The objects of outputs with `cache: false`, as far as this clone has them from a run."""
    found = set()
    for stage in repo.index.stages:
        for out in stage.outs:
            if not out.use_cache and out.hash_info and repo.cache.local.exists(out.hash_info.value):
                out.use_cache = True  # of this object in memory only
                found.update(*out.get_used_objs().values())
    return found


def main(argv: list[str] | None = None) -> int:
    """Send all of it and return the exit status, which is DVC's if it fails."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m stages.pipeline.push", add_help=False)
    parser.add_argument("-r", "--remote")
    parser.add_argument("-j", "--jobs", type=int)
    options, _ = parser.parse_known_args(argv)
    if status := dvc(["push", "--run-cache", *argv]):
        return status
    with Repo() as repo:
        result = repo.cloud.push(outside_cache(repo), **vars(options))
    print(f"{len(result.transferred)} files of metrics and plots pushed")
    return bool(result.failed)


if __name__ == "__main__":
    sys.exit(main())
