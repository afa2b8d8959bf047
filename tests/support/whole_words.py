"""Four stories with their summaries, and a tokenizer that knows each of their words."""

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

ROWS = [
    ("Ann met Bo in Paris . They saw the bridge .", "Ann in Paris"),
    ("Bo went to London . He paid for a room .", "Bo in London"),
    ("Ann stayed in London . The train was late .", "Ann in London"),
    ("The bridge in Paris was closed . Bo stayed there .", "Bo in Paris"),
]
WORDS = sorted({word for pair in ROWS for text in pair for word in text.split()})


def word_tokenizer() -> PreTrainedTokenizerFast:
    """A piece for each word, and `</s>` behind a text, as T5 has it."""
    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=8,
    )
