"""Running text: its documents, the tokens they become, and what scores of tokens mean."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from stages.core.errors import InputError
from stages.data.tables import choose_columns, is_table, read_plain_text, read_table
from stages.data.text import split_lines


def read_texts(path: str, text_column: str | None = None) -> list[str]:
    """The documents of `iter_texts`, all at once."""
    return list(iter_texts(path, text_column))


def iter_texts(path: str, text_column: str | None = None) -> Iterator[str]:
    """The documents of a file one by one, blanks and line ends as they are.

    In a table each row of the text column is a document. In a plain text file a blank line ends
    one, so that it has none within.

    Raises:
        InputError: nothing but blanks; a row that is no text; what `stages.data.tables` refuses.
    """
    if is_table(path):
        table = read_table(path)
        (column,) = choose_columns(table, {"text_column_name": text_column}, ("text",)).values()
        texts = table.texts(column)
    else:
        texts = _plain_documents(read_plain_text(path))
    found = False
    for text in texts:
        if text.strip():
            found = True
            yield text
    if not found:
        raise InputError(f"{path}: no text in it; expected paragraphs, one a line")


def _plain_documents(lines: Iterator[str]) -> Iterator[str]:
    """The documents in lines, between blank ones."""
    current: list[str] = []
    for line in itertools.chain(lines, [""]):
        if line.strip():
            current.append(line)
        elif current:
            yield "\n".join(current)
            current = []


def read_documents(path: str, text_column: str | None = None) -> list[list[str]]:
    """The documents of a file, each a list of paragraphs: its lines without blanks around them.

    Raises:
        InputError: what `read_texts` refuses.
    """
    documents = map(split_lines, read_texts(path, text_column))
    return [[line.strip() for line in lines if line.strip()] for lines in documents]


def read_joined(path: str) -> list[str]:
    """The documents of a file, the paragraphs of each joined by blanks."""
    return [" ".join(paragraphs) for paragraphs in read_documents(path)]


def read_paragraphs(path: str, limit: int | None = None) -> list[str]:
    """The paragraphs of all documents of a file, the first `limit` of them."""
    return [paragraph for document in read_documents(path) for paragraph in document][:limit]


def check_tokens(rows: Sequence, name: str) -> None:
    """Refuse data without a token.

    Args:
        rows: what was made of them.
        name: of the data, for the message.
    """
    if not len(rows):
        raise InputError(f"{name}: the tokenizer finds no token in the text")


def token_stream(tokenizer, texts: list[str]) -> np.ndarray:
    """All documents as one row of tokens, with the end-of-sequence token behind each.

    Args:
        tokenizer: has an end-of-sequence token.
        texts: of which those without a token are left out.

    Returns:
        int32 array [tokens], empty where the tokenizer finds nothing.
    """
    encoded = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    end = [tokenizer.eos_token_id]
    return np.array([token for ids in encoded if ids for token in ids + end], np.int32)


def token_bytes(tokenizer, *, blanks: bool = False) -> np.ndarray:
    """The bytes of text that each piece stands for; a special piece stands for none.

    Args:
        tokenizer: any fast one.
        blanks: count the blanks before and after a piece too, where its vocabulary has them.

    Returns:
        int64 array [pieces]; what a piece of a byte-level vocabulary holds is counted in bytes
        though they may be no whole character.
    """
    from tokenizers import decoders

    backend = tokenizer.backend_tokenizer
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    if isinstance(backend.decoder, decoders.ByteLevel):
        # There each character of a piece is a byte, and these three are blank ones.
        sizes = [len(piece if blanks else piece.strip("ĠĊĉ")) for piece in pieces]
    else:
        prefix = getattr(backend.model, "continuing_subword_prefix", None) or ""
        texts = [
            tokenizer.convert_tokens_to_string([piece.removeprefix(prefix)])
            # Decoded alone, a piece would lose the blank that its first character stands for.
            if prefix or "▁" not in piece else piece.replace("▁", " ")
            for piece in pieces
        ]  # fmt: skip
        sizes = [len((text if blanks else text.strip()).encode()) for text in texts]
    sizes = np.array(sizes)
    sizes[tokenizer.all_special_ids] = 0
    return sizes


def language_metrics(
    total: float, count: float, hits: float, scored_bytes: float
) -> dict[str, float]:
    """Loss, accuracy, perplexity and bits per byte of the tokens scored.

    Args:
        total: their negative log likelihoods in nats, summed.
        count: how many they are.
        hits: of how many the likeliest token was right.
        scored_bytes: what they stand for. Marks, as a document's end, cost bits and stand for no
            byte: without them the text could not be restored.

    Raises:
        InputError: no bytes.
    """
    if not scored_bytes:
        raise InputError(
            "the evaluation text holds no token to score, only special ones such as the unknown; "
            "does the tokenizer belong to this language?"
        )
    return {
        "eval_loss": total / count,
        "eval_accuracy": hits / count,
        "eval_perplexity": math.exp(min(total / count, 700.0)),
        # A smaller vocabulary flatters the perplexity of a token; a byte is a byte.
        "eval_bits_per_byte": total / math.log(2) / scored_bytes,
    }
