"""Lines of text files, with messages that name line and byte."""

from pathlib import Path

from stages.core.errors import InputError

_BOM = b"\xef\xbb\xbf"


def read_text(path: str | Path) -> list[str]:
    """The lines of a UTF-8 file, without their ends; a byte-order mark is dropped.

    Only line feeds and carriage returns end a line. `str.splitlines` would also cut at the
    Unicode separators, which occur inside sentences.

    Raises:
        InputError: no such file, an empty one, a NUL byte, or bytes that are not UTF-8, with
            line and byte (from 0, in the file).
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    skipped = len(_BOM) if data.startswith(_BOM) else 0
    content = data[skipped:]
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    if (at := content.find(b"\0")) >= 0:
        raise InputError(
            f"{_place(path, content, at, skipped)}: a NUL byte; this is not a text file"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place(path, content, error.start, skipped)
        raise InputError(f"{place}: not UTF-8; save the file as UTF-8") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _place(path: str | Path, content: bytes, at: int, skipped: int) -> str:
    before = content[:at].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    line = before.count(b"\n") + 1
    return f"{path}, line {line}, byte {at + skipped}"
