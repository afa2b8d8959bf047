"""The tokenizer stage: the same bytes from every process, and what each kind makes of text."""

import json
import os
import subprocess
import sys

import pyarrow
import pytest
import yaml
from pyarrow import parquet
from support import scripts
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, WhisperProcessor

from stages.core.errors import InputError
from stages.pipeline.make_tokenizer import read_entry, read_lines
from stages.vocabularies import word_level
from stages.vocabularies.byte_level_bpe import END, train_byte_level_bpe
from stages.vocabularies.metaspace_bpe import train_metaspace_bpe
from stages.vocabularies.wordpiece import SPECIAL, train_wordpiece

TEXTS = ["The quick brown fox jumps over the lazy dog.", "Sphinx of quartz, judge my vow 1976."]
SPOKEN = ["the train leaves at nine", "the next train leaves at ten"]
ENTRIES = {
    "encoder": {"vocab_size": 120, "config": {"model_type": "bert"}},
    "gpt2": {"vocab_size": 300, "config": {"model_type": "gpt2", "n_positions": 64}},
    "t5": {"vocab_size": 120, "extra_ids": 5, "config": {"model_type": "t5", "n_positions": 64}},
    "whisper": {
        "vocab_size": 400,
        "config": {"model_type": "whisper", "max_source_positions": 100, "num_mel_bins": 16},
    },
}
PRINT_ALL = f"""
from stages.pipeline.make_tokenizer import kind_of
for name, entry in {ENTRIES!r}.items():
    texts = {SPOKEN!r} if name == "whisper" else {TEXTS!r}
    kind = kind_of(entry["config"]["model_type"])
    tokenizer, files = kind.make(texts * 5, kind.Entry(**entry))
    print(name, tokenizer.to_str(), files)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`folder(name)`: what the command makes of an entry."""
    root = tmp_path_factory.mktemp("start")
    (root / "p.yaml").write_text(yaml.safe_dump({"tokenizers": ENTRIES}))
    made = {}

    def get(name: str):
        if name not in made:
            made[name] = root / name
            text = root / f"{name}.txt"
            text.write_text("\n\n".join(SPOKEN if name == "whisper" else TEXTS))
            scripts.call(
                "pipeline.make_tokenizer", name, f"--text={text}", f"--output_dir={made[name]}",
                f"--params_file={root / 'p.yaml'}",
            )  # fmt: skip
        return made[name]

    return get


def test_every_process_trains_the_same_tokenizers():
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT_ALL],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2", "3")
    ]
    made = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert made[0].count(b"\n") == len(ENTRIES)
    assert made[0] == made[1] == made[2]


def test_letters_within_words_are_ordinary_pieces():
    tokenizer = train_wordpiece(TEXTS * 5, 120)
    assert tokenizer.encode("##o").tokens[1:-1] == ["[UNK]", "[UNK]", "o"]
    assert {token.content for token in tokenizer.get_added_tokens_decoder().values()} == set(
        SPECIAL.values()
    )
    assert tokenizer.get_vocab_size() <= 120


def test_digits_stand_alone_and_pairs_have_two_segments():
    tokenizer = train_wordpiece(TEXTS * 5, 120)
    encoding = tokenizer.encode("1976", "fox")
    assert encoding.tokens[:6] == ["[CLS]", "1", "9", "7", "6", "[SEP]"]
    assert encoding.type_ids[0] == 0
    assert encoding.type_ids[-1] == 1


def test_byte_pairs_hold_any_text_and_keep_digits_apart():
    tokenizer = train_byte_level_bpe(["in 1976 and in 1976"] * 9, 290, [END])
    assert tokenizer.get_vocab_size() < 290  # nothing is left to pair
    assert tokenizer.token_to_id(END) == tokenizer.get_vocab_size() - 1
    assert tokenizer.encode("in 1976").tokens == ["in", "Ġ", "1", "9", "7", "6"]
    text = "é 🙂\n\t  [x]<|end|>"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_sentence_pieces_keep_digits_and_punctuation_apart():
    tokenizer = train_metaspace_bpe(["ab, 12", "ab. 12"] * 9, 60, ["<extra_id_0>"])
    tokens = ["▁ab", ".", "▁", "1", "2", "</s>"]
    assert tokenizer.encode("ab.  12").tokens == tokens
    assert tokenizer.encode("ab. 12", "ab").tokens == [*tokens, "▁ab", "</s>"]
    assert tokenizer.decode(tokenizer.encode("ab. 12").ids) == "ab. 12"


def test_a_folder_for_gpt2(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder("gpt2"))
    assert type(tokenizer).__name__ == "GPT2Tokenizer"
    assert tokenizer.model_max_length == 64
    end = len(tokenizer) - 1
    assert tokenizer.eos_token_id == tokenizer.bos_token_id == end
    config = AutoConfig.from_pretrained(folder("gpt2"))
    assert (config.vocab_size, config.eos_token_id, config.bos_token_id) == (end + 1, end, end)
    assert GenerationConfig.from_pretrained(folder("gpt2")).pad_token_id == end
    # The class splits text anew, and must come to the tokens of the file.
    for text in (*TEXTS, " x12 é", "a\n\nb"):
        raw = tokenizer.backend_tokenizer.from_file(str(folder("gpt2") / "tokenizer.json"))
        assert tokenizer(text)["input_ids"] == raw.encode(text).ids
        assert tokenizer.decode(raw.encode(text).ids) == text


def test_a_folder_for_t5(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder("t5"))
    assert [tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id] == [0, 1, 2]
    names = [f"<extra_id_{number}>" for number in range(5)]
    last = len(tokenizer) - 1
    assert tokenizer.convert_tokens_to_ids(names) == [last - number for number in range(5)]
    assert set(names) < set(tokenizer.all_special_tokens)
    ids = tokenizer("The<extra_id_0> fox <extra_id_4>.")["input_ids"]
    assert ids[-1] == 1
    assert [token for token in ids if token > last - 5] == [last, last - 4]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "The fox."
    config = AutoConfig.from_pretrained(folder("t5"))
    assert config.vocab_size == last + 1
    assert (config.pad_token_id, config.eos_token_id, config.decoder_start_token_id) == (0, 1, 0)
    assert GenerationConfig.from_pretrained(folder("t5")).decoder_start_token_id == 0


def test_a_folder_for_whisper(folder):
    processor = WhisperProcessor.from_pretrained(folder("whisper"))
    tokenizer = processor.tokenizer
    special = [END, word_level.START, word_level.NO_TIMESTAMPS]
    end, start, no_timestamps = tokenizer.convert_tokens_to_ids(special)
    ids = tokenizer(SPOKEN[1])["input_ids"]
    assert ids[:2] == [start, no_timestamps]
    assert ids[-1] == end
    assert len(ids) == 2 + len(SPOKEN[1].split()) + 1
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == SPOKEN[1]
    extractor = processor.feature_extractor
    assert (extractor.chunk_length, extractor.nb_max_frames, extractor.feature_size) == (2, 200, 16)
    generation = GenerationConfig.from_pretrained(folder("whisper"))
    assert (generation.decoder_start_token_id, generation.eos_token_id) == (start, end)
    assert generation.no_timestamps_token_id == no_timestamps
    assert generation.is_multilingual is False
    assert generation.begin_suppress_tokens is None
    assert AutoConfig.from_pretrained(folder("whisper")).begin_suppress_tokens is None


def test_a_word_that_has_no_room():
    # 256 bytes and three special pieces leave one pair.
    entry = word_level.Entry(vocab_size=260, config={"model_type": "whisper"})
    with pytest.raises(InputError, match=r"7 of 7 words are no piece of their own, 'at' for"):
        word_level.make(SPOKEN, entry)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("gpt2", {"config": {"model_type": "gpt3"}},
         "config.model_type is 'gpt3'; expected one of bert, camembert"),
        ("gpt2", {"config": {"n_embd": 3}}, "config needs `model_type` and the model's sizes"),
        ("gpt2", {"extra_ids": 3}, "unknown key 'extra_ids'"),
        ("t5", {"extra_ids": 0}, "t5.extra_ids is 0; expected a whole number, >= 1"),
        ("t5", {"vocab_size": "many"}, "t5.vocab_size is 'many'; expected a whole number, >= 100"),
        ("whisper", {"preprocessor": 3}, "preprocessor is 3; expected names of its options"),
        ("whisper", {"preprocessor": {"chunk_length": 3}},
         "chunk_length 3 gives 300 frames, config.max_source_positions 100 takes 200"),
        ("whisper", {"preprocessor": {"feature_size": 80}}, "is 80, config.num_mel_bins 16"),
        ("whisper", {"config": {"model_type": "whisper", "max_source_positions": 120}},
         "config.max_source_positions makes 2.4 seconds of sound; choose it so that they"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_used(name, change, said, tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump({"tokenizers": {name: ENTRIES[name] | change}}))
    with pytest.raises(InputError) as caught:
        read_entry(name, str(path))
    assert f"p.yaml: tokenizers.{name}" in str(caught.value)
    assert said in str(caught.value)


def test_lines_of_each_form_of_file(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "a.json").write_text("".join(json.dumps({"text": t}) + "\n" for t in ("one", "2")))
    table = pyarrow.table({"audio": [b"x", b"y"], "text": ["one", "two"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read_lines(str(tmp_path / "a.txt")) == ["one", "two"]
    assert read_lines(str(tmp_path / "a.json")) == ["one", "2"]
    assert read_lines(str(tmp_path / "a.parquet")) == ["one", "two"]
    parquet.write_table(table.drop(["text"]), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet: no column `text` can be read"):
        read_lines(str(tmp_path / "b.parquet"))
