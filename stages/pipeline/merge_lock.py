"""Merge `dvc.lock` stage by stage: a merge driver for Git, which `make setup` registers.

    python -m stages.pipeline.merge_lock ANCESTOR OURS THEIRS

As text, the two sides of a lock file conflict wherever both branches ran anything, and merging by
hand easily joins half of one run to half of another. This takes each entry whole: from the side
that changed it, or from ours if both did. It names the latter; `make repro` runs what the merge
left out of date. The outputs that are in Git (metrics, plots) are merged alike: `.gitattributes`
gives them a driver that keeps ours if both sides changed a file.

Writes the result into OURS and exits with 0. If a side cannot be read, exits with 1 and leaves OURS
as it is.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from stages.core.errors import InputError, command


def merge_stages(ancestor: Mapping, ours: Mapping, theirs: Mapping) -> tuple[dict, list[str]]:
    """Three-way merge of {stage: entry}.

    Returns:
      The merged entries in the order of `ours`, then of `theirs`; and the stages that both sides
      changed differently. Those keep the entry of `ours`, or, if one side removed it, that of the
      other side.
    """
    merged, both = {}, []
    for stage in [*ours, *(stage for stage in theirs if stage not in ours)]:
        old, our, their = (side.get(stage) for side in (ancestor, ours, theirs))
        if our == their or their == old:
            entry = our
        elif our == old:
            entry = their
        else:
            both.append(stage)
            entry = their if our is None else our
        if entry is not None:
            merged[stage] = entry
    return merged, both


def read_stages(path: Path) -> dict:
    """The stages of a lock file of DVC's schema 2.0; none of an empty file.

    Raises:
      InputError: it is not such a file.
    """
    # With DVC's own functions the merged file has the bytes that DVC would write.
    from dvc.utils.serialize import ParseError, load_yaml

    try:
        lock = load_yaml(str(path))
    except (OSError, ParseError) as error:
        raise InputError(f"dvc.lock: a side cannot be read ({error}); merge it by hand") from None
    if not lock:
        return {}
    if not isinstance(lock, Mapping) or str(lock.get("schema")) != "2.0":
        raise InputError("dvc.lock: a side is not of schema 2.0; merge it by hand")
    return lock.get("stages") or {}


@command
def main(argv: list[str] | None = None) -> None:
    """Merge, and name the stages that both sides ran."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.pipeline.merge_lock",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("ancestor", "ours", "theirs"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args(argv)
    sides = [read_stages(path) for path in (options.ancestor, options.ours, options.theirs)]
    stages, both = merge_stages(*sides)

    from dvc.utils.serialize import dump_yaml

    dump_yaml(str(options.ours), {"schema": "2.0", "stages": stages})
    if both:
        print(f"dvc.lock: both sides ran {', '.join(both)}; ours is kept", file=sys.stderr)
    print("dvc.lock: merged stage by stage; run make repro", file=sys.stderr)


if __name__ == "__main__":
    main()
