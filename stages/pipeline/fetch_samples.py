"""Download sample files into a folder, or copy them from another, and check their SHA-256.

    python -m stages.pipeline.fetch_samples --output_dir data/huggingface-fixtures

Reads `samples` of params.yaml: `url`, an address or a local folder, and `files`, which gives the
path of each file below it and its SHA-256. With `sha256: any` a file is not checked, so that you
can use your own.
"""

import argparse
import hashlib
import os
import re
import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pooch
from pydantic import Field

from stages.core.errors import InputError, command, quoted
from stages.core.files import atomic_folder, inside
from stages.core.params import PARAMS_FILE, read_params, section
from stages.core.schema import Section, build_section
from stages.data.hub import cache_folder

SECONDS, TRIES = 30, 4
# In place of a checksum: whatever file is there.
ANY = "any"
SHA256 = re.compile(rf"[0-9a-fA-F]{{64}}|{ANY}")


class Sample(Section):
    """An entry of `samples.files`; its key is the file's name in the folder that is written."""

    path: str = Field(description="where the file is below the url")
    sha256: str = Field(
        description=f"its SHA-256 in 64 hexadecimal digits, or `{ANY}` for whatever file is there"
    )


class Samples(Section):
    """The section `samples`."""

    url: str = Field(min_length=1, description="an address or a folder that the paths are below")
    files: dict[str, Sample] = Field(description="NAME: {path: ..., sha256: ...} for each file")


def read_samples(params_file: str = PARAMS_FILE) -> tuple[str, dict[str, Sample]]:
    """`url` and `files` of the section `samples`.

    Raises:
        InputError: a key is missing or wrong; names it and what is expected.
    """
    where = f"{params_file}: samples"
    samples = build_section(
        Samples, section(read_params(params_file), "samples", params_file), where
    )
    if not samples.files:
        raise InputError(f"{where}.files names no file; write NAME: {{path: ..., sha256: ...}}")
    folders = {parent for name in samples.files for parent in PurePosixPath(name).parents}
    for name, entry in samples.files.items():
        if PurePosixPath(name) in folders:
            raise InputError(
                f"{where}.files: {quoted(name)} is the folder of another file; rename one"
            )
        for key, path in (("", name), (f".{name}.path", entry.path)):
            if _leads_out(path):
                raise InputError(
                    f"{where}.files{key}: {quoted(path)} is outside the folder; name a file in it"
                )
        if not SHA256.fullmatch(entry.sha256):
            expected = Sample.model_fields["sha256"].description
            raise InputError(
                f"{where}.files.{name}.sha256 is {quoted(entry.sha256)}; expected {expected}"
            )
    return samples.url, samples.files


def _leads_out(path: str) -> bool:
    """Whether a path, of a folder or of an address, is absolute, has a `..` or names no file."""
    path = PurePosixPath(unquote(path).replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or not path.name


def find(url: str, name: str, entry: Sample, cache: Path, params_file: str) -> Path:
    """Return a file with the right checksum, downloaded if it is not in `cache`.

    A download that breaks off is tried again and leaves `cache` as it was.

    Raises:
        InputError: the file does not exist, cannot be reached, or has another checksum.
    """
    where = f"{params_file}: samples.files.{name}"
    expected = None if entry.sha256 == ANY else entry.sha256.lower()
    if Path(url).is_dir():
        try:
            path = inside(url, entry.path)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if not path.is_file():
            raise InputError(f"{where}: no file {path}; put it there, or correct samples.url")
        if expected and pooch.file_hash(str(path)) != expected:
            raise InputError(f"{where}: {path} has another SHA-256; {_override(name)}")
        return path
    address = f"{url.rstrip('/')}/{entry.path}"
    # Named after the whole address, so that a mirror's copy is never taken for the original.
    key = hashlib.sha256(address.encode()).hexdigest()[:16]
    cached = f"{key}-{Path(entry.path).name}"
    store = pooch.create(
        cache,
        "",
        registry={cached: expected and f"sha256:{expected}"},
        urls={cached: address},
        retry_if_failed=TRIES - 1,
    )
    if os.environ.get("HF_HUB_OFFLINE") == "1" and not (cache / cached).is_file():
        raise InputError(f"{where}: not in the cache, and HF_HUB_OFFLINE is 1; {_by_hand(entry)}")
    try:
        return Path(store.fetch(cached, downloader=pooch.HTTPDownloader(timeout=SECONDS)))
    except OSError as error:  # which the errors of requests are too
        raise InputError(
            f"{where}: {address} cannot be reached ({type(error).__name__}); {_by_hand(entry)}"
        ) from None
    except ValueError:  # a wrong checksum
        raise InputError(f"{where}: {address} gave another file; {_override(name)}") from None


def _by_hand(entry: Sample) -> str:
    return f"put it into a folder as {entry.path} and name that as samples.url, or name a mirror"


def _override(name: str) -> str:
    return f"if you mean to use it, set samples.files.{name}.sha256 to {ANY}"


@command
def main() -> None:
    """Write the folder completely or not at all."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--output_dir", required=True, help="folder to write")
    parser.add_argument("--params_file", default=PARAMS_FILE, help="default: params.yaml")
    parser.add_argument("--cache_dir", help="folder of the downloads (default: the user's cache)")
    options = parser.parse_args()

    cache = cache_folder(options) / "samples"
    url, files = read_samples(options.params_file)
    target = Path(options.output_dir)
    with atomic_folder(target) as partial:
        for name, entry in files.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            found = find(url, name, entry, cache, options.params_file)
            shutil.copyfile(found, partial / name)
    print(f"{len(files)} files from {url} are in {target}")


if __name__ == "__main__":
    main()
