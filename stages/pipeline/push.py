"""Push everything that `dvc.lock` records to the remote: `make push`.

`dvc push` leaves out metrics and plots, since they are in Git. Another clone that is about to run
the same stage then finds it in the run-cache, but not all of its outputs, and runs it again. So
metrics and plots are pushed too. Options are those of `dvc push`.
"""

import argparse
import sys

from dvc.cli import main as dvc
from dvc.repo import Repo

from stages.core.errors import command
from stages.core.files import home_folder


def uncached_objects(repo: Repo) -> set:
    """The objects of outputs with `cache: false` that a run left in this clone's cache."""
    # DVC has no command for this. pyproject.toml bounds its version, as these names are not public.
    found = set()
    for stage in repo.index.stages:
        for out in stage.outs:
            if not out.use_cache and out.hash_info and repo.cache.local.exists(out.hash_info.value):
                out.use_cache = True  # in memory only
                found.update(*out.get_used_objs().values())
    return found


@command
def main(argv: list[str] | None = None) -> int:
    """Push all of it; return the exit status, DVC's own if `dvc push` fails."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m stages.pipeline.push", add_help=False)
    parser.add_argument("-r", "--remote")
    parser.add_argument("-j", "--jobs", type=int)
    options, _ = parser.parse_known_args(argv)
    home_folder()  # without one DVC ends in a traceback
    if status := dvc(["push", "--run-cache", *argv]):
        return status
    with Repo() as repo:
        result = repo.cloud.push(uncached_objects(repo), **vars(options))
    print(f"{len(result.transferred)} files of metrics and plots pushed")
    return bool(result.failed)


if __name__ == "__main__":
    sys.exit(main())
