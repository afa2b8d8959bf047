"""Span corruption: gaps by hand and by number, what is scored, what fills the gaps."""

import json
import math
from collections import Counter

import numpy as np
import pytest
from flax import nnx
from support import scripts, toy_data
from transformers import CONFIG_MAPPING, PreTrainedTokenizerFast

from stages import models
from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX, Batch
from stages.data.encode import Encoder
from stages.tasks.seq2seq import target_logits
from stages.tasks.t5_mlm import baseline
from stages.tasks.t5_mlm.fillings import read_fillings
from stages.tasks.t5_mlm.loss import score
from stages.tasks.t5_mlm.rows import batch_rows, text_and_targets_before
from stages.tasks.t5_mlm.spans import Corrupter, corrupt, longest_row, sentinels_of, split
from stages.tasks.text.documents import joined, token_bytes
from stages.tasks.text.evaluate import evaluate_language
from stages.tasks.text.tokens import file_tokens
from stages.training.step import make_eval_step
from stages.vocabularies.metaspace_bpe import train_metaspace_bpe

SCRIPT = "run_t5_mlm_flax"
SIZES = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
SENTINELS, END = np.array([99, 98, 97, 96, 95], np.int32), 1


@pytest.fixture(scope="module")
def pieces():
    names = [f"<extra_id_{number}>" for number in range(8)]
    return PreTrainedTokenizerFast(
        tokenizer_object=train_metaspace_bpe(toy_data.TEXT.splitlines(), 140, names),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=names,
        model_max_length=64,
    )


@pytest.fixture(scope="module")
def t5(tmp_path_factory, pieces):
    """The folder of a model with random weights."""
    folder = tmp_path_factory.mktemp("t5_mlm") / "t5"
    config = CONFIG_MAPPING["t5"](
        vocab_size=len(pieces), pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, **SIZES
    )
    models.save_pretrained(models.from_config(config, "seq2seq_lm", seed=3), folder)
    pieces.save_pretrained(folder)
    return folder


# First values


def copying_config(**keys):
    sizes = {"d_model": 128, "d_kv": 32, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    given = {"attention_init": "copying", "tie_word_embeddings": False, **sizes, **keys}
    config = CONFIG_MAPPING["t5"](vocab_size=300, pad_token_id=0, decoder_start_token_id=0, **given)
    config.scale_decoder_outputs = given["tie_word_embeddings"]
    return config


def likeliest(model, source, targets):
    """The token that is likeliest behind each of `targets`."""
    ids = np.array([[0, *targets]], np.int32)
    logits = model(np.array([source], np.int32), decoder_input_ids=ids)
    return np.asarray(logits)[0, 1:].argmax(axis=-1)


@pytest.mark.parametrize("seed", [1, 2])
def test_copying_first_values_tell_what_came_next_in_the_source(seed):
    model = models.from_config(copying_config(), "seq2seq_lm", seed=seed)
    source = np.random.default_rng(seed).permutation(np.arange(10, 300))[:60]
    hits = likeliest(model, source, source[20:40]) == source[21:41]
    assert hits.mean() >= 0.5  # of 300 tokens
    plain = models.from_config(copying_config(attention_init=None), "seq2seq_lm", seed=seed)
    assert (likeliest(plain, source, source[20:40]) == source[21:41]).mean() <= 0.1


def test_copying_first_values_fill_a_gap_with_what_stood_between_its_neighbours():
    words = np.random.default_rng(1).permutation(np.arange(10, 299))[:40]
    gap, ranks = 299, []
    for seed in range(1, 5):  # one alone says little: their medians lie between 19 and 74
        model = models.from_config(copying_config(), "seq2seq_lm", seed=seed)
        for place in range(5, 30):
            again = [*words[place - 3 : place], gap, *words[place + 1 : place + 4]]
            source = np.array([[*words, *again]], np.int32)
            logits = model(source, decoder_input_ids=np.array([[0, gap]], np.int32))
            logits = np.asarray(logits)[0, 1]
            ranks.append(np.sum(logits > logits[words[place]]))
    # The word in the gap ranks high; half of 300 would be chance.
    assert np.median(ranks) <= 75


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"tie_word_embeddings": True}, "needs an untied head; set tie_word_embeddings to false"),
        ({"initializer_factor": 0.5}, "starts from initializer_factor 1, not 0.5; leave that out"),
        ({"num_heads": 2}, "needs 4 heads or more, of a quarter of d_model at most; num_heads is"),
        ({"d_kv": 64}, "num_heads is 4, d_kv 64, d_model 128"),
        ({"attention_init": "neighbours"}, "is unknown for t5; use 'copying', or leave it out"),
    ],
)
def test_copying_first_values_need_room(keys, said):
    with pytest.raises(InputError, match=said):
        models.from_config(copying_config(**keys), "seq2seq_lm")


# The script


@pytest.fixture(scope="module")
def trained(tmp_path_factory, t5, files):
    folder = tmp_path_factory.mktemp("t5_mlm") / "out"
    (folder.parent / "gaps.txt").write_text("Alice Ray <extra_id_0> Bob .\n\n<extra_id_0> saw it\n")
    scripts.call(
        SCRIPT, f"--model_name_or_path={t5}", f"--train_file={files / 'text.txt'}",
        f"--validation_file={files / 'text.txt'}", f"--output_dir={folder}",
        f"--test_file={folder.parent / 'gaps.txt'}", "--do_train", "--do_eval", "--do_predict",
        "--max_new_tokens=6", "--train_mlm_probability=0.4", *scripts.TRAINING,
    )  # fmt: skip
    return folder


def batch_of(rows, width, indices=None):
    ids, mask = np.zeros((2, len(rows), width), np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    indices = np.arange(len(rows)) if indices is None else np.array(indices)
    return Batch(indices, {"input_ids": ids, "attention_mask": mask})


def test_the_published_numbers():
    """T5's pre-training reads 512 tokens of 568 and predicts 114, before the closing sentinel."""
    assert longest_row(512, 0.15, 3.0) == 568
    hidden, spans = split(568, 0.15, 3.0)
    assert (hidden, spans) == (85, 28)
    assert 568 - hidden + spans + 1 == 512
    assert hidden + spans + 1 == 114


def test_every_length_is_met():
    for probability, span in ((0.15, 3.0), (0.3, 2.0), (0.5, 3.0), (0.05, 1.0)):
        for corrupted in range(4, 90):
            length = longest_row(corrupted, probability, span)
            hidden, spans = split(length, probability, span)
            assert length - hidden + spans + 1 == corrupted
            assert 1 <= spans <= hidden < length


def test_a_row_by_hand():
    """Ten tokens, four hidden in two spans; the smallest draws say where segments part."""
    ids = np.arange(10, 20)[None]
    draws = np.full((1, 10), 0.9)
    # Five joints between the six kept tokens, then three between the four hidden ones: kept
    # parts behind the second, hidden ones behind the third.
    draws[0, 1], draws[0, 5 + 2] = 0.1, 0.2
    inputs, targets = corrupt(ids, 4, 2, draws, SENTINELS, END)
    assert inputs.tolist() == [[10, 11, 99, 15, 16, 17, 18, 98, 1]]
    assert targets.tolist() == [[99, 12, 13, 14, 98, 19, 97, 1]]
    assert inputs.dtype == targets.dtype == np.int32


def test_one_span_and_the_shortest_row():
    inputs, targets = corrupt(np.array([[7, 8, 9]]), 1, 1, np.zeros((1, 3)), SENTINELS, END)
    assert inputs.tolist() == [[7, 8, 99, 1]]
    assert targets.tolist() == [[99, 9, 98, 1]]
    inputs, targets = corrupt(np.array([[7, 8]]), 1, 1, np.zeros((1, 2)), SENTINELS, END)
    assert (inputs.tolist(), targets.tolist()) == ([[7, 99, 1]], [[99, 8, 98, 1]])


def put_back(inputs, targets):
    """The row that was corrupted, without the end."""
    spans, current = {}, None
    for token in targets[:-1]:
        if token in SENTINELS:
            current = token
            spans[token] = []
        else:
            spans[current].append(token)
    row = []
    for token in inputs[:-1]:
        row += spans[token] if token in SENTINELS else [token]
    return row


def test_no_token_is_lost_and_every_parting_is_as_likely():
    rng = np.random.default_rng(0)
    ids = rng.integers(2, 90, (6000, 10))
    inputs, targets = corrupt(ids, 4, 3, rng.random(ids.shape), SENTINELS, END)
    assert inputs.shape == (6000, 10)
    assert targets.shape == (6000, 9)
    seen = Counter()
    for row, left, told in zip(ids.tolist(), inputs.tolist(), targets.tolist(), strict=True):
        assert put_back(left, told) == row
        seen[tuple(np.diff([told.index(mark) for mark in SENTINELS[:4]]) - 1)] += 1
    # Four hidden tokens in three spans: one of them has two.
    assert set(seen) == {(2, 1, 1), (1, 2, 1), (1, 1, 2)}
    assert min(seen.values()) > 1850  # four standard deviations below 2,000


def corrupter_of(pieces, length=20, seed=1):
    return Corrupter(pieces, length, 0.3, 2.0, seed)


def test_batches_have_one_shape(pieces):
    corrupter = corrupter_of(pieces)
    full = corrupter.row_length
    assert full == 22
    assert split(full, 0.3, 2.0) == (7, 4)
    rows = [np.arange(5, 5 + full), np.arange(5, 14), [7], []]
    made = corrupter.evaluation(batch_of(rows, full, [4, 5, 6, -1])).arrays
    assert made["input_ids"].shape == made["attention_mask"].shape == (4, 20)
    assert made["labels"].shape == made["content"].shape == (4, corrupter.target_length) == (4, 13)
    # Nine tokens: three hidden in two spans. One alone is neither gap nor surroundings.
    assert made["attention_mask"].sum(axis=1).tolist() == [20, 9, 0, 0]
    assert (made["labels"] != IGNORE_INDEX).sum(axis=1).tolist() == [13, 7, 0, 0]
    assert made["content"].sum(axis=1).tolist() == [7, 3, 0, 0]


def test_gaps_of_training_change_and_those_of_evaluation_stay(pieces):
    corrupter, other = corrupter_of(pieces), corrupter_of(pieces, seed=2)
    rows = np.random.default_rng(0).integers(3, 60, (6, corrupter.row_length))
    batch = batch_of(rows, corrupter.row_length)

    def ids(made):
        return made.arrays["input_ids"].tolist()

    assert ids(corrupter.training(batch, 3)) == ids(corrupter.training(batch, 3))
    assert ids(corrupter.training(batch, 3)) != ids(corrupter.training(batch, 4))
    assert ids(corrupter.training(batch, 3)) != ids(other.training(batch, 3))
    assert ids(corrupter.evaluation(batch)) != ids(other.evaluation(batch))
    # By the number of the row alone, however rows are batched.
    together = corrupter.evaluation(batch).arrays
    for number in range(6):
        alone = corrupter.evaluation(batch_of(rows[[number]], corrupter.row_length, [number]))
        for name, array in alone.arrays.items():
            assert (array[0] == together[name][number]).all()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_accuracies_by_hand(pieces, t5, files, batch_size):
    """All target tokens, sentinels and ends too; and those of the text alone."""
    corrupter = corrupter_of(pieces)
    stream = file_tokens(Encoder(pieces), files / "text.txt", joined)
    rows = np.split(stream, range(corrupter.row_length, len(stream), corrupter.row_length))
    assert len(rows) > 3
    assert 2 < len(rows[-1]) < corrupter.row_length
    width = corrupter.row_length
    batches = batch_rows(rows, pieces, width, batch_size, buckets=4)
    model = models.from_pretrained(t5, "seq2seq_lm")
    eval_step = make_eval_step(model, score)
    found = evaluate_language(
        eval_step,
        model,
        batches,
        pieces,
        token_bytes(pieces, blanks=True),
        text_and_targets_before,
        corrupter.evaluation,
    )
    step = make_eval_step(model, target_logits)
    losses, hits, text, worst, size = [], [], [], [], 0
    special = set(pieces.all_special_ids)
    for number, row in enumerate(rows):
        made = corrupter.evaluation(batch_of([row], width, [number])).arrays
        logits = np.asarray(step(nnx.state(model), made), np.float64)[0]
        for scores, label in zip(logits, made["labels"][0], strict=True):
            if label != IGNORE_INDEX:
                losses.append(np.log(np.exp(scores).sum()) - scores[label])
                hits.append(scores.argmax() == label)
                text.append(label not in special)
                piece = pieces.convert_ids_to_tokens(int(label))
                size += len(piece.replace("▁", " ")) if text[-1] else 0
        count = (made["labels"] != IGNORE_INDEX).sum()
        place = int(np.argmax(losses[-count:]))
        worst.append(
            {
                "text": pieces.decode(made["input_ids"][0, : made["attention_mask"].sum()]),
                "target": pieces.decode(made["labels"][0, :place]),
                "label": pieces.decode([made["labels"][0, place]]),
                "prediction": pieces.decode([logits[place].argmax()]),
                "loss": pytest.approx(max(losses[-count:]), abs=1e-3),
            }
        )
    assert found.metrics == {
        "eval_loss": pytest.approx(np.mean(losses), rel=1e-5),
        "eval_accuracy": np.mean(hits),
        "eval_content_accuracy": np.mean(np.array(hits)[text]),
        "eval_perplexity": pytest.approx(math.exp(np.mean(losses)), rel=1e-5),
        "eval_bits_per_byte": pytest.approx(sum(losses) / math.log(2) / size, rel=1e-5),
        "eval_samples": len(rows),
    }
    assert list(found.predictions()) == worst


def test_what_a_run_leaves(trained, pieces):
    results = scripts.results(trained)
    names = ("loss", "accuracy", "content_accuracy", "perplexity", "bits_per_byte", "samples")
    assert set(results) == {f"eval_{name}" for name in names}
    assert set(scripts.results(trained, "train")) == {"train_loss", "train_samples"}
    assert scripts.results(trained, "test") == {"test_samples": 2}
    config = json.loads((trained / "config.json").read_text())
    assert config["architectures"] == ["T5ForConditionalGeneration"]
    rows = scripts.json_lines(trained / "predictions.json")
    assert [row["text"] for row in rows] == ["Alice Ray <extra_id_0> Bob .", "<extra_id_0> saw it"]
    for row in rows:
        assert len(row["fillings"]) == 1
        assert row["filled"] == row["text"].replace("<extra_id_0>", row["fillings"][0])


def test_training_may_hide_another_share(trained, pieces, files):
    """Rows are as long once corrupted, and so hold more text; those of evaluation stay."""
    tokens = len(file_tokens(Encoder(pieces), files / "text.txt", joined))
    for split_name, probability in (("train", 0.4), ("eval", 0.15)):
        rows = math.ceil(tokens / longest_row(24, probability, 3.0))
        assert scripts.results(trained, split_name)[f"{split_name}_samples"] == rows
    assert longest_row(24, 0.4, 3.0) > longest_row(24, 0.15, 3.0)


def test_fillings_stand_behind_their_sentinels(pieces):
    sentinels = sentinels_of(pieces)
    assert sentinels.tolist() == [len(pieces) - 1 - number for number in range(8)]
    met, bob = (pieces(text, add_special_tokens=False)["input_ids"] for text in ("met", "Bob"))
    ids = [*bob, sentinels[0], *met, *bob, sentinels[2], *bob, sentinels[3], END]
    text = "a <extra_id_0> b <extra_id_1> <extra_id_2> c"
    row = read_fillings(text, np.array(ids), sentinels, pieces)
    assert row["fillings"] == ["met Bob", "", "Bob"]
    assert row["filled"] == "a met Bob b  Bob c"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--mlm_probability=1"], "--mlm_probability is '1'; expected a number, > 0 and < 1"),
        (["--mean_noise_span_length=0.5"], "expected a number, >= 1"),
        (["--max_seq_length=3"], "--max_seq_length is '3'; expected a whole number, >= 4"),
        (["--max_seq_length=200"],
         "--max_seq_length 200 makes 11 gaps a row, and the tokenizer has 8 sentinels <extra"),
        (["--train_file=empty"], "empty: the file is empty"),
        (["--test_file=plain", "--do_predict"], "plain, paragraph 2: no <extra_id_0>; put it"),
        (["--test_file=high", "--do_predict"], "paragraph 1: <extra_id_8>, but the tokeniz"),
        (["--tokenizer_name=other"], "the tokenizer of other has no sentinels <extra_id_0>"),
    ],
)  # fmt: skip
def test_input_that_cannot_be_used(flags, said, t5, tokenizer, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "plain").write_text("<extra_id_0> Bob\nBob\n")
    (tmp_path / "high").write_text("<extra_id_8>\n")
    if "--tokenizer_name=other" in flags:
        tokenizer.save_pretrained("other")
    text = files / "text.txt"
    line = scripts.refused(
        SCRIPT, f"--model_name_or_path={t5}", f"--train_file={text}", f"--validation_file={text}",
        "--output_dir=out", "--do_train", "--do_eval",
        *scripts.TRAINING, *flags,
    )  # fmt: skip
    assert said in line
    assert not (tmp_path / "out").exists()


def test_the_baselines_see_what_the_model_sees():
    """Gaps `3 4` and `6`: the first token of each stands behind what the input keeps."""
    inputs = [2, 99, 5, 98, END]
    labels = [99, 3, 4, 98, 6, 97, END]
    assert list(baseline._sides(inputs, labels, set(SENTINELS.tolist()))) == [
        None,
        (2, 5, False),
        (3, 5, True),
        (4, 5, True),
        (5, END, False),
        (6, END, True),
        None,
    ]


def test_the_frequent_baseline(tmp_path, t5):
    """28 tokens in rows of 13, 13 and 2 with one gap each; only the last hides something else."""
    for split_name in ("train", "test"):
        (tmp_path / f"{split_name}.txt").write_text(" ".join(["Bob"] * 27))
    found = baseline.measure(
        str(tmp_path),
        str(t5),
        mlm_probability=0.15,
        mean_noise_span_length=3.0,
        seed=1,
        max_seq_length=12,
    )
    expected = {"eval_accuracy": pytest.approx(13 / 14), "eval_content_accuracy": 1.0}
    assert found["frequent"] == expected
    assert 0.5 < found["neighbours"]["eval_accuracy"] <= 13 / 14
