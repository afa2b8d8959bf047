"""The tokenizer stage: the same bytes from every process, and what it makes of words."""

import hashlib
import subprocess
import sys

from stages.make_tokenizer import SPECIAL, train_wordpieces

TEXTS = ["The quick brown fox jumps over the lazy dog.", "Sphinx of quartz, judge my vow 1976."]
PRINT_BYTES = f"""
from stages.make_tokenizer import train_wordpieces
print(train_wordpieces({TEXTS!r} * 5, 120).to_str())
"""


def test_every_process_trains_the_same_tokenizer():
    made = {
        subprocess.run([sys.executable, "-c", PRINT_BYTES], capture_output=True, check=True).stdout
        for _ in range(3)
    }
    assert len({hashlib.sha256(text).hexdigest() for text in made}) == 1


def test_letters_within_words_are_ordinary_pieces():
    tokenizer = train_wordpieces(TEXTS * 5, 120)
    assert tokenizer.encode("##o").tokens[1:-1] == ["[UNK]", "[UNK]", "o"]
    assert {token.content for token in tokenizer.get_added_tokens_decoder().values()} == set(
        SPECIAL.values()
    )
    assert tokenizer.get_vocab_size() <= 120


def test_digits_stand_alone_and_pairs_have_two_segments():
    tokenizer = train_wordpieces(TEXTS * 5, 120)
    encoding = tokenizer.encode("1976", "fox")
    assert encoding.tokens[:6] == ["[CLS]", "1", "9", "7", "6", "[SEP]"]
    assert encoding.type_ids[0] == 0
    assert encoding.type_ids[-1] == 1
