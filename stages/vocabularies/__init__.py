"""New vocabularies, a module a kind: each learns one from text and names its special pieces.

Such a module has

- `OPTIONS`: the keys of an entry of `tokenizers` that are its own,
- `check(entry)`: raises InputError, without a place, for values of these keys that cannot be used,
- `make(texts, entry)`: a `tokenizers.Tokenizer` and the other files of the model's folder, by name.

`texts` are lines and `entry` has `vocab_size` and `config`. The same text gives the same bytes in
every process.
"""

# The kind of vocabulary of each type of model.
KINDS = {
    "bert": "wordpieces",
    "camembert": "wordpieces",
    "distilbert": "wordpieces",
    "gpt2": "byte_pairs",
    "roberta": "wordpieces",
    "t5": "sentence_pieces",
    "whisper": "spoken_words",
    "xlm-roberta": "wordpieces",
}
