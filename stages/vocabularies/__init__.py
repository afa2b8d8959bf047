"""Training of new tokenizers, a module for each kind of vocabulary.

A module has

- `Entry`: the model of an entry of `tokenizers`, a `TokenizerEntry` with the kind's own keys,
- `make(texts, entry)`: a `tokenizers.Tokenizer` and the other files of the model's folder, by name.

`texts` are lines and `entry` is an `Entry`. The same text gives the same bytes in every process.
"""

# The kind of vocabulary of each type of model.
KINDS = {
    "bert": "wordpiece",
    "camembert": "wordpiece",
    "distilbert": "wordpiece",
    "gpt2": "byte_level_bpe",
    "roberta": "wordpiece",
    "t5": "metaspace_bpe",
    "whisper": "word_level",
    "xlm-roberta": "wordpiece",
}
