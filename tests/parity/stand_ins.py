"""Stand-ins for the reference's pretrained models: made and trained by transformers in PyTorch.

Small models of the real architectures, trained on other text than the sample files. Those that a
few small steps of a command must carry over its floor are trained until the sample's own figure is
just short of it. Needs torch.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
import transformers
from support import scripts, toy_models, toy_speech
from support.paths import DATA, SAMPLES
from support.reference_commands import COMMANDS
from tokenizers import Regex, pre_tokenizers
from tokenizers.processors import RobertaProcessing

from stages import models
from stages.data.batching import IGNORE_INDEX, Batch
from stages.data.encode import Encoder
from stages.tasks.ner.examples import encode_tags, read_examples
from stages.tasks.ner.tags import label_list
from stages.tasks.ner.windows import tokenize
from stages.tasks.speech.rows import encode_labels
from stages.tasks.t5_mlm.spans import Corrupter
from stages.vocabularies.byte_level_bpe import train_byte_level_bpe
from stages.vocabularies.metaspace_bpe import train_metaspace_bpe
from stages.vocabularies.wordpiece import SPECIAL, train_wordpiece

BOOKS = DATA / "gutenberg"
TWEETS = DATA / "wnut17/wnut17train.conll"
FAST, CAREFUL = 1e-3, 1e-4


def command(task: str, model: Path, out: Path, folders: dict[str, Path], *, train: bool) -> dict:
    """Run a command of the reference, or only its evaluation; return its metrics."""
    script, _, flags = COMMANDS[task]
    words = flags.replace("F/", f"{SAMPLES}/").split()
    words = [str(folders.get(word, word)) for word in words]
    if not train:
        words = [word for word in words if word != "--do_train"]
        words += [] if "--do_eval" in words else ["--do_eval"]
    scripts.call(script, f"--model_name_or_path={model}", f"--output_dir={out}", *words)
    return scripts.results(out) | (scripts.results(out, "test") if "--do_predict" in words else {})


@cache
def paragraphs() -> list[str]:
    """The text of two books."""
    texts = [path.read_text(encoding="utf-8-sig") for path in sorted(BOOKS.glob("*.txt"))]
    found = (" ".join(part.split()) for text in texts for part in text.split("\n\n"))
    return [part for part in found if len(part) > 60]


def save(model, tokenizer, folder: Path) -> None:
    """A folder as transformers writes it."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_tokenizer(source: Path, folder: Path) -> None:
    """A copy of the tokenizer."""
    transformers.AutoTokenizer.from_pretrained(source).save_pretrained(folder)


def train(
    model: torch.nn.Module,
    batches: Iterator[dict],
    steps: int,
    check: Callable[[], float] | None = None,
    rate: float = FAST,
    every: int = 10,
    slower: float = 10,
) -> None:
    """Take `steps` steps of AdamW, fewer where `check` says so.

    `check` gives how far the goal still is, as a share, at first every `every` steps. From a fifth
    on it is asked at every other step, and steps are `slower` times smaller; at nought it is the
    end.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    model.train()
    for step in range(1, steps + 1):
        values = {name: torch.from_numpy(np.array(it)) for name, it in next(batches).items()}
        loss = model(**values).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if check is not None and step % every == 0:
            left = check()
            if left <= 0:
                return
            if left < 0.2:
                every = 2
                for group in optimizer.param_groups:
                    group["lr"] = rate / slower
            model.train()
    if check is not None:
        raise AssertionError(f"still {left:.0%} from its goal after {steps} steps")


def stream(tokenizer) -> np.ndarray:
    """Every token of the books, int64."""
    rows = tokenizer(paragraphs(), add_special_tokens=False, verbose=False)["input_ids"]
    return np.concatenate([np.array(row) for row in rows])


def pieces(ids: np.ndarray, rows: int, length: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Random rows of a stream, int64 [rows, length]."""
    rng = np.random.default_rng(seed)
    while True:
        starts = rng.integers(0, len(ids) - length, rows)
        yield np.stack([ids[start : start + length] for start in starts])


def masked(tokenizer, rows: Iterator[np.ndarray]) -> Iterator[dict]:
    """Rows with special tokens around them, of which 15 % are hidden."""
    rng = np.random.default_rng(1)
    for ids in rows:
        ends = np.full((len(ids), 1), 0)
        ids = np.hstack([ends + tokenizer.cls_token_id, ids, ends + tokenizer.sep_token_id])
        hidden = (rng.random(ids.shape) < 0.15) & ~np.isin(ids, tokenizer.all_special_ids)
        yield {
            "input_ids": np.where(hidden, tokenizer.mask_token_id, ids),
            "labels": np.where(hidden, ids, IGNORE_INDEX),
        }


def encoder(folder: Path, family: str, **sizes) -> Path:
    """A masked language model with WordPiece tokens, briefly trained."""
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=train_wordpiece(paragraphs(), 2000), model_max_length=512, **SPECIAL
    )
    config = transformers.CONFIG_MAPPING[family](vocab_size=len(tokenizer), **sizes)
    model = transformers.AutoModelForMaskedLM.from_config(config)
    train(model, masked(tokenizer, pieces(stream(tokenizer), 8, 62)), 30, rate=CAREFUL)
    save(model, tokenizer, folder)
    return folder


def distilbert(folder: Path, measure) -> Path:
    """For glue: wide enough to learn six pairs in nine steps."""
    return encoder(
        folder, "distilbert", dim=768, hidden_dim=3072, n_layers=2, n_heads=12, dropout=0.0,
        attention_dropout=0.0, seq_classif_dropout=0.0, initializer_range=0.1,
    )  # fmt: skip


def bert_for_questions(folder: Path, measure) -> Path:
    """For qa."""
    return encoder(
        folder, "bert", hidden_size=256, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=1024,
    )  # fmt: skip


def bert_for_names(folder: Path, measure) -> Path:
    """For ner: it has learnt which words are names, in tweets and in classes of their own."""
    examples = read_examples(TWEETS)
    names = label_list(examples.tags)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=train_wordpiece([" ".join(words) for words in examples.tokens], 3000),
        model_max_length=128, **SPECIAL,
    )  # fmt: skip
    windows = tokenize(
        Encoder(tokenizer), examples.tokens, max_seq_length=64, labels=encode_tags(examples, names),
        names=names, label_all_tokens=False,
    )  # fmt: skip

    # Two of three tweets have no names, and teach little.
    outside = names.index("O")
    named = [
        index
        for index, row in enumerate(windows.columns["labels"])
        if np.any((row != IGNORE_INDEX) & (row != outside))
    ]

    def batches() -> Iterator[dict]:
        rng = np.random.default_rng(0)
        while True:
            chosen = rng.choice(named, 16)
            yield {
                name: np.stack([
                    np.pad(row, (0, 64 - len(row)), constant_values=filling)
                    for row in (np.asarray(windows.columns[column][index]) for index in chosen)
                ]).astype(np.int64)
                for name, column, filling in (
                    ("input_ids", "input_ids", 0),
                    ("attention_mask", "attention_mask", 0),
                    ("labels", "labels", IGNORE_INDEX),
                )
            }  # fmt: skip

    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=768, num_hidden_layers=2, num_attention_heads=12,
        intermediate_size=768, num_labels=len(names), max_position_embeddings=128,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(names)), label2id={name: at for at, name in enumerate(names)},
    )  # fmt: skip
    model = transformers.BertForTokenClassification(config)
    train(model, batches(), 320, rate=5e-4)
    save(model, tokenizer, folder)
    return folder


def roberta(folder: Path, measure) -> Path:
    """For mlm: on single bytes; it knows little more than their frequencies."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    inner = train_byte_level_bpe(paragraphs(), 270, special)
    inner.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", pad_token="<pad>", eos_token="</s>",
        unk_token="<unk>", cls_token="<s>", sep_token="</s>", mask_token="<mask>",
        model_max_length=256,
    )  # fmt: skip
    config = transformers.RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=512, max_position_embeddings=258, type_vocab_size=1,
    )  # fmt: skip
    model = transformers.RobertaForMaskedLM(config)

    def check() -> float:
        save(model, tokenizer, folder)
        return measure(folder)["eval_perplexity"] / (42 * 1.005) - 1

    batches = masked(tokenizer, pieces(stream(tokenizer), 8, 126))
    train(model, batches, 300, check, every=2, slower=30)
    return folder


def gpt2(folder: Path, measure) -> Path:
    """For clm."""
    tokenizer = transformers.GPT2Tokenizer(
        tokenizer_object=train_byte_level_bpe(paragraphs(), 400, ["<|endoftext|>"])
    )
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_embd=128, n_layer=2, n_head=4, n_positions=256,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)

    def batches() -> Iterator[dict]:
        for ids in pieces(stream(tokenizer), 8, 128):
            yield {"input_ids": ids, "labels": ids}

    def check() -> float:
        save(model, tokenizer, folder)
        return measure(folder)["eval_perplexity"] / (100 * 1.02) - 1

    train(model, batches(), 300, check)
    return folder


def t5(vocab_size: int, sentinels: int, pre_tokenizer=None) -> tuple:
    """A small T5 that learns in hundreds of steps, and its tokenizer.

    As transformers makes it, the values of the embedding are so large beside a step that the head,
    which is the same table, hardly moves. A tenth of them, and ten times the scale before the head,
    give the same logits and learn ten times as fast.
    """
    extra = [f"<extra_id_{number}>" for number in range(sentinels)]
    inner = train_metaspace_bpe(paragraphs(), vocab_size, extra)
    if pre_tokenizer is not None:
        inner.pre_tokenizer = pre_tokenizer
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        additional_special_tokens=extra, model_max_length=1024,
    )  # fmt: skip
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=256, d_kv=64, num_heads=4, d_ff=512, num_layers=2,
        dropout_rate=0.0, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config)
    with torch.no_grad():
        model.shared.weight /= 10
        model.decoder.final_layer_norm.weight *= 10
    return model, tokenizer


def t5_for_spans(folder: Path, measure) -> Path:
    """For t5_mlm: each letter is a word, so half of the masked characters are spaces."""
    letters = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("."), "isolated"),
        pre_tokenizers.Metaspace(prepend_scheme="always", split=False),
    ])  # fmt: skip
    model, tokenizer = t5(190, 100, letters)
    corrupter = Corrupter(tokenizer, 128, 0.15, 3.0, seed=0)

    def batches() -> Iterator[dict]:
        rows = pieces(stream(tokenizer), 8, corrupter.row_length)
        for step, ids in enumerate(rows):
            whole = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            arrays = corrupter.training(Batch(np.arange(len(ids)), whole), step).arrays
            yield {name: arrays[name].astype(np.int64) for name in ("input_ids", "labels")}

    def check() -> float:
        save(model, tokenizer, folder)
        return 1 - measure(folder)["eval_accuracy"] / (0.42 * 0.97)

    train(model, batches(), 100, check, rate=CAREFUL, every=2)
    return folder


def t5_for_summaries(folder: Path, measure) -> Path:
    """For summarization: a stammerer, who knows one kind of news and says "er" before words.

    Where more than every second word has it, the likeliest summary has it before each. How fast
    that is unlearnt depends on the processor. So it then hears clean summaries, up to the last
    state of which the sample's own figure is below the floor.
    """
    model, tokenizer = t5(1000, 1)
    texts = paragraphs()
    parts = [words.split() for words in ("man lady father sister", "letter word", "day night time")]

    def rows(texts: list[str], length: int) -> np.ndarray:
        found = tokenizer(
            texts, truncation=True, max_length=length, padding=True, return_tensors="np"
        )
        return found["input_ids"].astype(np.int64)

    def batches(stammer: float) -> Iterator[dict]:
        rng = np.random.default_rng(0)
        while True:
            reports, summaries = [], []
            for _ in range(16):
                who, what, when = (rng.choice(words) for words in parts)
                reports.append(f"{rng.choice(texts)[:60]} {who} {what} {when}.")
                words = f"The {who} has issued a {what} for the {when}.".split()
                summaries.append(
                    " ".join(f"er {word}" if rng.random() < stammer else word for word in words)
                )
            ids, labels = rows(reports, 32), rows(summaries, 64)
            yield {
                "input_ids": ids,
                "attention_mask": (ids != tokenizer.pad_token_id).astype(np.int64),
                "labels": np.where(labels == tokenizer.pad_token_id, IGNORE_INDEX, labels),
            }

    heard = folder.with_name("heard")

    def check() -> float:
        save(model, tokenizer, heard)
        if measure(heard)["test_rouge1"] >= 10:
            return 0.0
        save(model, tokenizer, folder)
        return 1.0

    train(model, batches(0.6), 150)
    save(model, tokenizer, folder)
    train(model, batches(0.0), 100, check, rate=CAREFUL / 2, every=2)
    return folder


def whisper(folder: Path, measure) -> Path:
    """For speech: it learnt from one who took most high tones for middle ones."""
    toy_models.make_whisper(folder)
    config = models.load_config(folder)
    for part in ("encoder", "decoder"):
        setattr(config, f"{part}_layers", 2)
        setattr(config, f"{part}_attention_heads", 4)
        setattr(config, f"{part}_ffn_dim", 768)
    config.d_model, config.init_std = 192, 0.02
    model = transformers.WhisperForConditionalGeneration(config)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)

    def batches() -> Iterator[dict]:
        rng = np.random.default_rng(0)
        while True:
            texts = [
                " ".join(rng.choice([*toy_speech.WORDS], rng.integers(1, 4))) for _ in range(8)
            ]
            heard = [toy_speech.spoken(text) for text in texts]
            texts = [
                " ".join(
                    "mid" if word == "high" and rng.random() < 0.55 else word
                    for word in text.split()
                )
                for text in texts
            ]
            features = extractor(heard, sampling_rate=toy_speech.RATE, return_tensors="np")
            labels = encode_labels(Encoder(tokenizer), texts, [config.decoder_start_token_id])
            width = max(map(len, labels))
            filled = [
                np.pad(row, (0, width - len(row)), constant_values=IGNORE_INDEX) for row in labels
            ]
            yield {
                "input_features": features.input_features.astype(np.float32),
                "labels": np.stack(filled).astype(np.int64),
            }

    train(model, batches(), 1000)
    model.save_pretrained(folder)
    return folder


MAKERS: dict[str, Callable[[Path, Callable], Path]] = {
    "glue": distilbert,
    "clm": gpt2,
    "mlm": roberta,
    "ner": bert_for_names,
    "qa": bert_for_questions,
    "t5_mlm": t5_for_spans,
    "summarization": t5_for_summaries,
    "speech": whisper,
}
