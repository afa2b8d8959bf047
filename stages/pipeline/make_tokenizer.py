"""Train a tokenizer on training text, and write it with the configuration of a new model.

    python -m stages.pipeline.make_tokenizer encoder --text data/mlm/train.txt \\
        --output_dir models/start/encoder
"""

import argparse
import importlib
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from types import ModuleType

from stages.core.errors import InputError, command
from stages.core.files import write_json, write_text
from stages.core.params import PARAMS_FILE, read_params, section
from stages.core.schema import build_section
from stages.data.columns import holds_lists
from stages.data.tables import Table, is_table, read_plain_text, read_table
from stages.data.text import split_lines
from stages.pipeline.model_types import tokenizer_type
from stages.vocabularies import KINDS
from stages.vocabularies.entry import TokenizerEntry


def kind_of(model_type: str) -> ModuleType:
    """The module of `stages.vocabularies` for a type of model, one of `KINDS`."""
    return importlib.import_module(f"stages.vocabularies.{KINDS[model_type]}")


def read_entry(name: str, params_file: str = PARAMS_FILE) -> TokenizerEntry:
    """The checked entry `tokenizers.NAME`, with the keys of its kind.

    Raises:
        InputError: naming the key and what is expected.
    """
    where = f"tokenizers.{name}"
    params = read_params(params_file)
    model_type = tokenizer_type(name, params, params_file)
    found = section(params, where, params_file)
    return build_section(kind_of(model_type).Entry, found, f"{params_file}: {where}")


def read_lines(path: str, columns: Sequence[str] = ("text",)) -> list[str]:
    """The lines to train on: those of a text file, or of columns, that hold something.

    Args:
        path: the file.
        columns: of a file that has some: of texts, or of lists of words.

    Raises:
        InputError: what `stages.data.tables` refuses; a parquet file without such a column.
    """
    if is_table(path):
        table = read_table(path)
        texts = chain.from_iterable(_texts(table, column) for column in columns)
    elif Path(path).suffix.lower() == ".parquet":
        texts = _parquet_texts(path, columns)
    else:
        texts = read_plain_text(path)
    return [line for text in texts for line in split_lines(text) if line]


def _texts(table: Table, column: str) -> Iterable[str]:
    if not holds_lists(table.column(column)):
        return table.texts(column)
    return (" ".join(map(str, words)) for words in table.column(column))


def _parquet_texts(path: str, columns: Sequence[str]) -> list[str]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path, columns=list(columns))
        return [text for column in columns for text in table.column(column).to_pylist()]
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        named = ", ".join(f"`{column}`" for column in columns)
        raise InputError(f"{path}: no column {named} can be read ({error})") from None


@command
def main() -> None:
    """Write `tokenizer.json`, `tokenizer_config.json`, `config.json` of one new model, and more."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", help="entry of `tokenizers` in the parameter file")
    parser.add_argument("--text", required=True, help="text to train on, UTF-8")
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--params_file", default=PARAMS_FILE)
    options = parser.parse_args()

    entry = read_entry(options.name, options.params_file)
    kind = kind_of(entry.config["model_type"])
    try:
        tokenizer, files = kind.make(read_lines(options.text, entry.columns), entry)
    except InputError as error:
        raise InputError(f"{options.text} for tokenizers.{options.name}: {error}") from None
    folder = Path(options.output_dir)
    write_text(folder / "tokenizer.json", json.dumps(json.loads(tokenizer.to_str()), indent=1))
    for name, content in files.items():
        write_json(folder / name, content)
    print(f"{tokenizer.get_vocab_size()} pieces from {options.text}")


if __name__ == "__main__":
    main()
