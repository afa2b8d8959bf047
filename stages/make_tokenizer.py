"""Train a tokenizer on training text and lay it beside the configuration of a new model.

python -m stages.make_tokenizer encoder --text data/mlm/train.txt --output_dir models/start/encoder
"""

import argparse
import json
from pathlib import Path

from stages.arguments import PARAMS_FILE, known_names, read_params, section
from stages.errors import InputError, command
from stages.records import read_text
from stages.results import write_json, write_text

SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
MINIMUM_PIECES = 100


def train_wordpieces(texts: list[str], vocab_size: int):
    """A cased WordPiece tokenizer (Wu et al. 2016) that splits digits apart.

    Words and punctuation come apart before pieces are formed, so that a sentence reads the same
    as running text and as the list of words that named-entity recognition gets.

    Returns:
        `tokenizers.Tokenizer` whose rows are `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]`.
    """
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            # A number is read digit by digit: two amounts differ where their digits do.
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    tokenizer.decoder = decoders.WordPiece()
    # The trainer numbers the letters within words in the order of a hash map that differs from run
    # to run, and breaks ties by these numbers. Named beforehand, they are the same every time.
    letters = sorted({f"##{letter}" for text in texts for letter in text if not letter.isspace()})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=[*SPECIAL.values(), *letters], show_progress=False
    )
    learner = Tokenizer(models.WordPiece(unk_token=SPECIAL["unk_token"]))
    learner.normalizer, learner.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    learner.train_from_iterator(texts, trainer)
    tokenizer.model = models.WordPiece(learner.get_vocab(), unk_token=SPECIAL["unk_token"])
    tokenizer.add_special_tokens(list(SPECIAL.values()))
    classify, separate = SPECIAL["cls_token"], SPECIAL["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{classify} $A {separate}",
        pair=f"{classify} $A {separate} $B:1 {separate}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (classify, separate)],
    )
    return tokenizer


def read_entry(name: str, params_file: str = PARAMS_FILE) -> tuple[int, dict]:
    """The checked size of the vocabulary and configuration of an entry of `tokenizers`.

    Raises:
        InputError: naming the key and what is expected.
    """
    where = f"tokenizers.{name}"
    entry = dict(section(read_params(params_file), where, params_file))
    known_names(entry, ("vocab_size", "config"), f"{params_file}: {where}")
    vocab_size, config = entry.get("vocab_size"), entry.get("config")
    if type(vocab_size) is not int or vocab_size < MINIMUM_PIECES:
        raise InputError(
            f"{params_file}: {where}.vocab_size is {vocab_size!r}; expected a whole "
            f"number, >= {MINIMUM_PIECES}"
        )
    if not isinstance(config, dict) or "model_type" not in config:
        raise InputError(f"{params_file}: {where}.config needs `model_type` and the model's sizes")
    return vocab_size, config


@command
def main() -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and `config.json` of one new model."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", help="entry of `tokenizers` in the parameter file")
    parser.add_argument("--text", required=True, help="text to train on, UTF-8")
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--params_file", default=PARAMS_FILE)
    options = parser.parse_args()

    vocab_size, config = read_entry(options.name, options.params_file)
    tokenizer = train_wordpieces([line for line in read_text(options.text) if line], vocab_size)
    positions = config.get("max_position_embeddings", 512)
    folder = Path(options.output_dir)
    write_text(folder / "tokenizer.json", json.dumps(json.loads(tokenizer.to_str()), indent=1))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": positions,
            **SPECIAL,
        },
    )
    special_ids = {"pad_token_id": tokenizer.token_to_id(SPECIAL["pad_token"])}
    write_json(
        folder / "config.json",
        {**config, "vocab_size": tokenizer.get_vocab_size(), **special_ids},
    )
    print(f"{tokenizer.get_vocab_size()} pieces from {options.text}")


if __name__ == "__main__":
    main()
