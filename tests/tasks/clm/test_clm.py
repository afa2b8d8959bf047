"""Causal language modelling: text into blocks, what is held out, scores by hand, continuations."""

import json
import math
from functools import partial
from itertools import compress

import numpy as np
import pytest
from flax import nnx
from support import scripts, toy_data
from transformers import CONFIG_MAPPING, GPT2Tokenizer

from stages import models
from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX
from stages.data.encode import Encoder
from stages.models.tokenizers import load_tokenizer
from stages.tasks.clm import baseline
from stages.tasks.clm.arguments import ClmArguments
from stages.tasks.clm.config import new_config
from stages.tasks.clm.convert import Source, convert
from stages.tasks.clm.loss import loss, score
from stages.tasks.clm.rows import (
    batch_blocks,
    hold_out,
    pack,
    read_blocks,
    read_prompts,
    text_before,
)
from stages.tasks.text.documents import read_texts, token_bytes
from stages.tasks.text.evaluate import evaluate_language
from stages.tasks.text.tokens import file_tokens, token_stream
from stages.training.step import make_eval_step
from stages.vocabularies.byte_level_bpe import END, train_byte_level_bpe

SCRIPT = "run_clm_flax"
TRAINING = tuple(flag for flag in scripts.TRAINING if "max_seq_length" not in flag)
SIZES = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 48, "initializer_range": 0.3}


@pytest.fixture(scope="module")
def bpe():
    raw = train_byte_level_bpe(toy_data.TEXT.splitlines(), 300, [END])
    return GPT2Tokenizer(tokenizer_object=raw, vocab=raw.get_vocab(), merges=merges(raw))


def merges(raw):
    return [tuple(pair) for pair in json.loads(raw.to_str())["model"]["merges"]]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory, bpe):
    """The folder of a model with random weights."""
    folder = tmp_path_factory.mktemp("clm") / "gpt2"
    end = bpe.eos_token_id
    config = CONFIG_MAPPING["gpt2"](
        vocab_size=len(bpe), bos_token_id=end, eos_token_id=end, **SIZES
    )
    models.save_pretrained(models.from_config(config, "causal_lm", seed=3), folder)
    bpe.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, gpt2, files):
    folder = tmp_path_factory.mktemp("clm") / "out"
    (folder.parent / "prompts.txt").write_text("Alice Ray met\nIn May the\n\nThe bridge\n")
    scripts.call(
        SCRIPT, f"--model_name_or_path={gpt2}", f"--train_file={files / 'text.txt'}",
        f"--validation_file={files / 'text.txt'}", f"--output_dir={folder}",
        f"--test_file={folder.parent / 'prompts.txt'}", "--do_train", "--do_eval", "--do_predict",
        "--block_size=24", "--max_new_tokens=5", *TRAINING,
    )  # fmt: skip
    return folder


def stream_of(tokenizer, documents):
    return token_stream(Encoder(tokenizer), documents, len(documents), "")


def forward(model):
    """`logits(ids)`, float64 [tokens, vocabulary], compiled once for all lengths up to 24."""
    step = make_eval_step(model, lambda model, batch: model(batch["input_ids"]))
    params = nnx.state(model)

    def logits(ids):
        # What stands behind cannot change what comes before.
        padded = np.pad(np.array(ids, np.int32), (0, 24 - len(ids)))
        return np.asarray(step(params, {"input_ids": padded[None]}), np.float64)[0, : len(ids)]

    return logits


@pytest.mark.parametrize("length", [2, 7, 24, 1000])
def test_packing_keeps_every_token(bpe, files, length):
    columns = pack(stream_of(bpe, read_texts(files / "text.txt")), length)
    told = np.concatenate(columns["labels"]).tolist()
    expected = []
    for text in read_texts(files / "text.txt"):
        expected += [*bpe(text)["input_ids"], bpe.eos_token_id]
    assert told == expected
    assert np.concatenate(columns["input_ids"]).tolist() == [bpe.eos_token_id, *expected[:-1]]
    sizes = [len(row) for row in columns["labels"]]
    assert sizes == [len(row) for row in columns["input_ids"]]
    assert sizes == [int(row.sum()) for row in columns["attention_mask"]]
    assert set(sizes[:-1]) <= {length}
    assert 0 < sizes[-1] <= length


def test_blocks_by_hand(bpe):
    end = bpe.eos_token_id
    a, b, newline = (bpe(text)["input_ids"][0] for text in ("a", "b", "\n"))
    columns = pack(stream_of(bpe, ["a\nb", "b"]), 4)
    assert [row.tolist() for row in columns["input_ids"]] == [[end, a, newline, b], [end, b]]
    assert [row.tolist() for row in columns["labels"]] == [[a, newline, b, end], [b, end]]


@pytest.mark.parametrize(
    ("keep", "text"), [(True, "if a:\n    b\n\n\tc \n"), (False, "if a:     b  \tc  ")]
)
def test_blanks_are_kept(bpe, tmp_path, keep, text):
    path = tmp_path / "code.json"
    path.write_text(json.dumps({"text": "if a:\n    b\n\n\tc \n"}))
    options = {"held_out_percentage": 0, "held_out": False, "seed": 0, "limit": None}
    blocks = read_blocks(path, encoder=Encoder(bpe), block_size=50, keep_linebreaks=keep, **options)
    assert np.concatenate(blocks["labels"]).tolist() == [*bpe(text)["input_ids"], bpe.eos_token_id]


def test_prompts_keep_their_blanks(bpe, tmp_path):
    read = partial(read_prompts, limit=None, tokenizer=bpe, max_length=48, max_new_tokens=4)
    (tmp_path / "a.txt").write_text("  Alice met\n\nBob \n")
    texts, columns = read(tmp_path / "a.txt")
    assert texts == ["  Alice met", "Bob "]
    assert columns["input_ids"][0].tolist() == [bpe.eos_token_id, *bpe("  Alice met")["input_ids"]]
    (tmp_path / "a.json").write_text(json.dumps({"text": "def f():\n    "}) + "\n")
    assert read(tmp_path / "a.json")[0] == ["def f():\n    "]
    (tmp_path / "b.json").write_text(json.dumps({"url": "u", "body": "Bob"}) + "\n")
    assert read(tmp_path / "b.json", text_column="body")[0] == ["Bob"]


def test_standard_form_keeps_blanks(tmp_path):
    texts = ["if a:\n    b\n\n\tc \n", "  one\u2028line\x0cx", "a\r\nb"]
    path = tmp_path / "a.JSONL"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*texts, " \n"]))
    assert convert(str(path), tmp_path / "train.json", Source(source=str(tmp_path))).rows == 3
    assert read_texts(tmp_path / "train.json") == texts
    (tmp_path / "b.txt").write_text("  a \n b\n \n\nc\n")
    convert(str(tmp_path / "b.txt"), tmp_path / "train.json", Source(source=str(tmp_path)))
    assert read_texts(tmp_path / "train.json") == ["  a \n b", "c"]


def test_documents_are_held_out_with_their_copies():
    documents = [f"text {number}" for number in range(40)] * 2
    held_out = hold_out(documents, 10, 3, "a.txt")
    assert held_out.sum() == 8  # four of the forty, twice
    assert (held_out[:40] == held_out[40:]).all()
    assert (hold_out(documents, 10, 3, "a.txt") == held_out).all()
    assert (hold_out(documents, 10, 4, "a.txt") != held_out).any()
    assert hold_out(["a", "b"], 1, 0, "a.txt").sum() == 1
    assert hold_out(["a", "b"], 99, 0, "a.txt").sum() == 1
    # The choice is among the different documents as they come up.
    order = np.random.default_rng(0).permutation(3)
    assert np.flatnonzero(hold_out(["z", "a", "m"], 40, 0, "")).tolist() == [order[0]]
    with pytest.raises(InputError, match=r"a\.txt: a single document, of which no part can be"):
        hold_out(["a b", " a\nb\n"], 10, 0, "a.txt")


@pytest.mark.parametrize("batch_size", [1, 3])
def test_perplexity_and_bits_by_hand(bpe, gpt2, files, batch_size):
    """Every token once, predicted from those before it in its block; padding counts nowhere."""
    model = models.from_pretrained(gpt2, "causal_lm")
    stream = file_tokens(Encoder(bpe), files / "text.txt")
    losses, hits, worst, logits = [], [], [], forward(model)
    for start in range(0, len(stream), 24):
        block = stream[start : start + 24]
        before = [bpe.eos_token_id if start == 0 else stream[start - 1], *block[:-1]]
        for scores, token in zip(logits(before), block, strict=True):
            losses.append(np.log(np.exp(scores).sum()) - scores[token])
            hits.append(scores.argmax() == token)
        place = int(np.argmax(losses[start:]))
        worst.append(
            {
                "text": bpe.decode(before[: place + 1]),
                "label": bpe.decode([block[place]]),
                "prediction": bpe.decode([logits(before)[place].argmax()]),
                "loss": pytest.approx(losses[start + place], abs=1e-3),
            }
        )
    assert len(losses) % 24  # the last block is a short one
    columns = pack(stream_of(bpe, read_texts(files / "text.txt")), 24)
    batches = batch_blocks(columns, bpe, 24, batch_size, buckets=2)
    step = make_eval_step(model, score)
    sizes = token_bytes(bpe, blanks=True)
    found = evaluate_language(step, model, batches, bpe, sizes, text_before)
    # The ends of documents cost bits and stand for no byte.
    size = sum(len(text.encode()) for text in read_texts(files / "text.txt"))
    assert found.metrics == {
        "eval_loss": pytest.approx(np.mean(losses), rel=1e-5),
        "eval_accuracy": np.mean(hits),
        "eval_perplexity": pytest.approx(math.exp(np.mean(losses)), rel=1e-5),
        "eval_bits_per_byte": pytest.approx(sum(losses) / math.log(2) / size, rel=1e-5),
        "eval_samples": len(columns["labels"]),
    }
    assert list(found.predictions()) == worst


def test_padding_has_no_part_in_the_loss(bpe, gpt2):
    model = models.from_pretrained(gpt2, "causal_lm")
    rng = np.random.default_rng(0)
    ids, labels = rng.integers(0, len(bpe), (2, 3, 10))
    short = {"input_ids": ids, "attention_mask": np.ones_like(ids), "labels": labels}
    padded = {
        name: np.pad(
            array, ((0, 0), (0, 6)), constant_values=IGNORE_INDEX if name == "labels" else 0
        )
        for name, array in short.items()
    }
    step = make_eval_step(model, lambda model, batch: loss(model, batch, None))
    (total, count), (same, still) = (step(nnx.state(model), batch) for batch in (short, padded))
    assert (count, still) == (30, 30)
    assert float(same) == pytest.approx(float(total), rel=1e-5)


def test_what_a_run_leaves(trained):
    results = scripts.results(trained)
    assert set(results) == {
        f"eval_{name}" for name in ("loss", "accuracy", "perplexity", "bits_per_byte", "samples")
    }
    assert set(scripts.results(trained, "train")) == {"train_loss", "train_samples"}
    assert scripts.results(trained, "train")["train_samples"] == results["eval_samples"]
    assert scripts.results(trained, "test") == {"test_samples": 3}
    config = json.loads((trained / "config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"]
    assert (trained / "generation_config.json").is_file()
    worst = scripts.json_lines(trained / "eval_predictions.json")
    assert len(worst) == results["eval_samples"]
    assert {*worst[0]} == {"text", "label", "prediction", "loss"}


def test_lines_are_continued_by_the_likeliest_tokens(trained, bpe):
    rows = scripts.json_lines(trained / "predictions.json")
    texts = ["Alice Ray met", "In May the", "The bridge"]
    assert [row["text"] for row in rows] == texts
    logits = forward(models.from_pretrained(trained, "causal_lm"))
    for text, row in zip(texts, rows, strict=True):
        ids = [bpe.eos_token_id, *bpe(text)["input_ids"]]
        prompt = len(ids)
        while len(ids) < prompt + 5 and ids[-1:] != [bpe.eos_token_id]:
            ids.append(int(logits(ids)[-1].argmax()))
        assert row["continuation"] == bpe.decode(ids[prompt:], skip_special_tokens=True)


def test_part_of_the_training_file_is_held_out(gpt2, files, tmp_path):
    """Its blocks are those of the documents that are not trained on, in an evaluation alone too."""
    flags = [f"--model_name_or_path={gpt2}", f"--train_file={files / 'text.txt'}",
             "--validation_split_percentage=50", "--block_size=8", *TRAINING]  # fmt: skip
    scripts.call(SCRIPT, f"--output_dir={tmp_path / 'a'}", "--do_train", "--do_eval", *flags)
    texts = read_texts(files / "text.txt")
    held_out = hold_out(texts, 50, 42, "")
    tokenizer = load_tokenizer(str(gpt2))
    for chosen, split in ((~held_out, "train"), (held_out, "eval")):
        documents = list(compress(texts, chosen))
        blocks = len(pack(stream_of(tokenizer, documents), 8)["labels"])
        assert scripts.results(tmp_path / "a", split)[f"{split}_samples"] == blocks
    again = [f"--model_name_or_path={tmp_path / 'a'}", *flags[1:], f"--output_dir={tmp_path / 'b'}"]
    scripts.call(SCRIPT, "--do_eval", *again)
    assert scripts.results(tmp_path / "b") == scripts.results(tmp_path / "a")


def test_new_weights_from_a_type(gpt2, files, tmp_path):
    scripts.call(
        SCRIPT, "--model_type=gpt2", f"--tokenizer_name={gpt2}", "--block_size=16",
        "--config_overrides=n_embd=8,n_layer=1,n_head=2,n_positions=32,resid_pdrop=0", "--do_train",
        f"--train_file={files / 'text.txt'}", f"--output_dir={tmp_path / 'out'}", *TRAINING,
    )  # fmt: skip
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["n_embd"], config["n_positions"], config["resid_pdrop"]) == (8, 32, 0.0)
    end = json.loads((gpt2 / "config.json").read_text())["eos_token_id"]
    assert (config["vocab_size"], config["eos_token_id"]) == (end + 1, end)


def test_overrides_of_a_start_folder(gpt2, bpe):
    given = {"model_name_or_path": str(gpt2), "output_dir": "x", "validation_file": "x",
             "config_overrides": "n_layer=2", "do_eval": True}  # fmt: skip
    config = new_config(ClmArguments(**given, from_scratch=True), bpe)
    assert (config.n_embd, config.n_layer) == (16, 2)
    # A trained folder is evaluated with the parameters that it was trained with.
    assert new_config(ClmArguments(**given), bpe) is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--block_size=49"], "--block_size 49 is above the model's 48 positions; use 48 or less"),
        (["--config_overrides=n_layer=2"], "--config_overrides needs new weights; add --from_sc"),
        (["--from_scratch", "--config_overrides=n_layers=2"], "n_layers isn't in the original"),
        (["--from_scratch", "--config_overrides=n_layer"], "write NAME=VALUE, with commas betw"),
        (["--from_scratch", "--config_overrides=n_layer=x"], "--config_overrides 'n_layer=x': "),
        (["--model_type=gpt2"], "--model_type excludes --model_name_or_path and --config_name"),
        (["--model_name_or_path=none", "--model_type=gpt2"], "--model_type needs --tokenizer_name"),
        (["--model_type=gpt5"], "--model_type is 'gpt5'; expected one of gpt2"),
        (["--validation_split_percentage=5"], "--validation_file exclude each other"),
        (["--validation_file=none", "--train_file=one"], "one: a single document, of which no pa"),
        (["--train_file=empty"], "empty: the file is empty"),
        (["--test_file=long", "--do_predict", "--max_new_tokens=40"],
         "long, prompt 2: 9 tokens and --max_new_tokens 40 are more than the model's 48 posi"),
    ],
)  # fmt: skip
def test_input_that_cannot_be_used(flags, said, gpt2, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").write_text("one document\nof two lines\n")
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "long").write_text("Bob\n99999999\n")
    text = files / "text.txt"
    line = scripts.refused(
        SCRIPT, f"--model_name_or_path={gpt2}", f"--train_file={text}",
        f"--validation_file={text}", "--output_dir=out", "--do_train", "--do_eval",
        *TRAINING, *flags,
    )  # fmt: skip
    assert said in line
    assert not (tmp_path / "out").exists()


def test_the_baseline_by_hand(tmp_path, gpt2, bpe):
    """After "b a" stood "a" once: (1 + 5 p) / 6, where p backs off to what followed "a"."""
    for split, text in (("train", "abaab"), ("test", "ba")):
        (tmp_path / f"{split}.json").write_text(json.dumps({"text": text}))
    size, end = len(bpe), bpe.eos_token_id
    a, b = (bpe(letter)["input_ids"][0] for letter in "ab")
    assert bpe("abaab")["input_ids"] == [a, b, a, a, b]
    counts = {a: 3, b: 2, end: 1}
    unigram = {token: (counts.get(token, 0) + 1) / (6 + size) for token in (a, b, end)}
    # Told: b behind "end end", a behind "end b", the end behind "b a".
    pairs = {b: (0 + 5 * unigram[b]) / 6, a: (1 + 5 * unigram[a]) / 7,
             end: (0 + 5 * unigram[end]) / 8}  # fmt: skip
    triples = {b: (0 + 5 * pairs[b]) / 6, a: pairs[a], end: (0 + 5 * pairs[end]) / 6}
    losses = [-math.log(triples[token]) for token in (b, a, end)]
    found = baseline.measure(str(tmp_path), str(gpt2))
    assert found["trigram"]["eval_perplexity"] == pytest.approx(math.exp(np.mean(losses)))
    bits = sum(losses) / math.log(2) / 2
    assert found["trigram"]["eval_bits_per_byte"] == pytest.approx(bits)
    plain = [-math.log(unigram[token]) for token in (b, a, end)]
    assert found["unigram"]["eval_perplexity"] == pytest.approx(math.exp(np.mean(plain)))
    assert found["unigram"]["eval_accuracy"] == pytest.approx(1 / 3)


def test_the_baseline_reads_the_lines_as_the_model_does(tmp_path, gpt2):
    """Without line ends it scores the tokens of one line."""
    for split in ("train", "test"):
        (tmp_path / f"{split}.json").write_text(json.dumps({"text": "ab\nab\nb"}))
    (tmp_path / "flat").mkdir()
    for split in ("train", "test"):
        (tmp_path / f"flat/{split}.json").write_text(json.dumps({"text": "ab ab b"}))
    one, two = (
        baseline.measure(str(folder), str(gpt2), keep_linebreaks=False)
        for folder in (tmp_path, tmp_path / "flat")
    )
    assert one == two
    assert one != baseline.measure(str(tmp_path), str(gpt2))
