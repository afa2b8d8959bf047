"""The versions that figures depend on: `python -m stages.core.versions` writes `versions.json`.

Train stages depend on that file, so an upgrade re-runs them and shows in the diff. The processor
and the number of cores are not in it: they must not keep two machines from sharing a cache.
"""

import json
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from stages.core.errors import InputError, command

FRAMEWORKS = ("datasets", "flax", "jax", "jaxlib", "numpy", "optax", "tokenizers", "transformers")
# pyarrow writes its version into the Parquet files of the speech data, so their bytes depend on it.
PACKAGES = tuple(sorted((*FRAMEWORKS, "pyarrow")))
COMMAND = "python -m stages.core.versions"


def installed_versions(packages: Iterable[str] | None = None) -> dict[str, str]:
    """Return {package: installed version}, by default of `PACKAGES`.

    They are read from the metadata, so that nothing heavy is imported. Raises InputError for a
    package that is not installed.
    """
    versions = {}
    for package in PACKAGES if packages is None else packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise InputError(f"{package}: not installed; run `make setup`") from None
    return versions


def check_versions(path: str | Path = "versions.json") -> None:
    """Raise InputError if `path` exists and does not name exactly the installed versions.

    Otherwise DVC would record figures under versions that did not produce them.
    """
    path = Path(path)
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable ({error}); run `{COMMAND}`") from None
    if not isinstance(recorded, dict):
        raise InputError(f"{path}: not a mapping of versions; run `{COMMAND}`")
    installed = installed_versions()
    differing = [
        f"{package} {recorded.get(package, 'none')} recorded, {installed.get(package, 'none')} here"
        for package in sorted(recorded.keys() | installed.keys())
        if recorded.get(package) != installed.get(package)
    ]
    if differing:
        raise InputError(
            f"{path}: {'; '.join(differing)}; run `{COMMAND}` to record the installed versions, "
            "or `make setup` to install the locked ones"
        )


@command
def main() -> int:
    """Write `versions.json` in the working folder, unless it is up to date."""
    path = Path("versions.json")
    text = json.dumps(installed_versions(), indent=1, sort_keys=True) + "\n"
    try:
        unchanged = path.read_bytes() == text.encode()
    except FileNotFoundError:
        unchanged = False
    if not unchanged:
        path.write_text(text, encoding="utf-8", newline="\n")
        print("versions.json: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
