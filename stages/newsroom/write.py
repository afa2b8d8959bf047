"""Writers that hold one row at a time, one for each file format."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path


class _Writer:
    """A UTF-8 file with `\\n` as line end on every system."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("w", encoding="utf-8", newline="")
        self.rows = 0

    def __enter__(self):
        self.begin()
        return self

    def __exit__(self, *error):
        if error[0] is None:
            self.end()
        self.file.close()

    def begin(self):
        """Write what precedes the first row."""

    def end(self):
        """Write what follows the last row."""

    def add(self, row):
        """Write one row."""
        self.write(row)
        self.rows += 1


class TextWriter(_Writer):
    """Paragraphs one a line, an empty line between documents."""

    def write(self, row: Iterable[str]):
        self.file.write(("\n" if self.rows else "") + "".join(line + "\n" for line in row))


class CsvWriter(_Writer):
    """Pairs of sentences under a header."""

    def begin(self):
        self.lines = csv.writer(self.file, lineterminator="\n")
        self.lines.writerow(("sentence1", "sentence2", "label", "kind"))

    def write(self, row: Iterable[str]):
        self.lines.writerow(row)


class JsonLinesWriter(_Writer):
    """One JSON object a line."""

    def write(self, row: dict):
        self.file.write(json.dumps(row, ensure_ascii=False) + "\n")


class SquadWriter(_Writer):
    """One JSON document in the format of SQuAD 2.0, an article a line."""

    def begin(self):
        self.file.write('{"version": "v2.0", "data": [')

    def write(self, row: dict):
        self.file.write(("," if self.rows else "") + "\n" + json.dumps(row, ensure_ascii=False))

    def end(self):
        self.file.write("\n]}\n")
