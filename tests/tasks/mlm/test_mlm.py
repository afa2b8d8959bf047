"""Masked language modelling: text into rows, masks, and what is made of the scores."""

import json
import math
import random
import re

import numpy as np
import pytest
from support import scripts, toy_data
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as token_models
from transformers import PreTrainedTokenizerFast

from stages import models
from stages.core import progress
from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX, Batch, Batches
from stages.data.encode import Encoder
from stages.tasks.mlm.loss import score
from stages.tasks.mlm.predict import text_around
from stages.tasks.mlm.rows import Masker, pack
from stages.tasks.text.documents import iter_texts, paragraphs, token_bytes
from stages.tasks.text.evaluate import evaluate_language
from stages.training import session
from stages.training.step import make_eval_step


def documents_of(tokenizer, lengths, seed=0):
    """Documents with paragraphs of these lengths in words, each word a piece of the tokenizer."""
    words = random.Random(seed)
    known = [
        word for word in sorted(set(toy_data.TEXT.split())) if len(tokenizer.tokenize(word)) == 1
    ]
    assert len(known) > 9
    return [[" ".join(words.choices(known, k=n)) for n in paragraphs] for paragraphs in lengths]


def plain(tokenizer, texts):
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [token for row in ids for token in row]


def packed(tokenizer, documents, length, **options):
    texts = ["\n".join(paragraphs) for paragraphs in documents]
    return list(pack(Encoder(tokenizer), texts, length, **options))


@pytest.mark.parametrize("line_by_line", [False, True])
@pytest.mark.parametrize("length", [5, 8, 16, 60])
def test_pack_loses_no_token(tokenizer, length, line_by_line):
    draw = random.Random(length)
    sizes = [[draw.randint(1, 14) for _ in range(draw.randint(1, 4))] for _ in range(12)]
    documents = documents_of(tokenizer, sizes)
    rows = packed(tokenizer, documents, length, line_by_line=line_by_line)
    assert all(len(row) <= length for row in rows)
    assert all(row[0] == tokenizer.cls_token_id for row in rows)
    assert all(row[-1] == tokenizer.sep_token_id for row in rows)
    special = {tokenizer.cls_token_id, tokenizer.sep_token_id}
    kept = [token for row in rows for token in row if token not in special]
    assert kept == plain(tokenizer, [text for document in documents for text in document])


def test_pack_keeps_documents_whole(tokenizer):
    # With [CLS] and one [SEP] a paragraph: 3 + 3, 4, 6, and one that is too long for a row.
    documents = documents_of(tokenizer, [[2, 2], [3], [2, 2], [9, 2, 3]])
    rows = packed(tokenizer, documents, 12, line_by_line=False)
    separate, (one, two, three, four) = tokenizer.sep_token_id, documents

    def joined(*texts):
        parts = [[*plain(tokenizer, [text]), separate] for text in texts]
        return [tokenizer.cls_token_id, *(token for part in parts for token in part)]

    assert rows == [
        joined(*one, *two),
        joined(*three),
        joined(four[0]),
        joined(*four[1:]),
    ]


def test_a_line_is_a_row(tokenizer):
    documents = documents_of(tokenizer, [[2, 3], [9]])
    rows = packed(tokenizer, documents, 7, line_by_line=True)
    assert [len(row) for row in rows] == [4, 5, 7, 6]


def test_progress_counts_paragraphs(tokenizer, monkeypatch, capsys):
    monkeypatch.setattr(progress, "INTERVAL", -1)  # a line for every chunk
    packed(tokenizer, documents_of(tokenizer, [[2, 2], [3]]), 12, line_by_line=False)
    assert re.fullmatch(r"row 3/3  [\d,]+ rows/s  0:00 left\n", capsys.readouterr().out)


def documents_of_file(path, column=None):
    return [paragraphs(text) for text in iter_texts(path, column)]


def test_documents_of_a_text_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n  one \ntwo\n\n \n\nthree\r\nfour\n")
    assert documents_of_file(path) == [["one", "two"], ["three", "four"]]
    path.write_text("   \n\t\n x\n")
    assert documents_of_file(path) == [["x"]]


def test_documents_of_a_table(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"id": 1, "text": "one\n\ntwo\n"}, {"id": 2, "text": "three"}]))
    assert documents_of_file(str(path)) == [["one", "two"], ["three"]]
    path.write_text('[{"text": "one", "body": "two"}]')
    assert documents_of_file(str(path), "body") == [["two"]]
    with pytest.raises(InputError, match=r"a\.json: no column 'boddy'"):
        documents_of_file(str(path), "boddy")
    path.write_text('[{"id": 1, "body": "one"}]')
    assert documents_of_file(str(path)) == [["one"]]
    path.write_text('[{"url": "u", "body": "one"}]')
    with pytest.raises(InputError, match=r"which column is text\? there are 'url', 'body'; give"):
        documents_of_file(str(path))
    path.write_text('{"text": "a"}\n{"text": 3}\n')
    with pytest.raises(InputError, match=r"a\.json, line 2: 'text' is 3; expected text"):
        documents_of_file(str(path))
    path.write_text('[{"text": " "}]')
    with pytest.raises(InputError, match="no text in it; expected paragraphs"):
        documents_of_file(str(path))


def batch_of(rows, width, indices=None):
    ids = np.zeros((len(rows), width), np.int32)
    mask = np.zeros((len(rows), width), np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    indices = np.arange(len(rows)) if indices is None else np.array(indices)
    return Batch(indices, {"input_ids": ids, "attention_mask": mask})


def many(tokenizer, count=300, width=42):
    ordinary = len(tokenizer.all_special_ids)
    rng = np.random.default_rng(0)
    rows = rng.integers(ordinary, len(tokenizer), (count, width))
    rows[:, 0], rows[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    return rows


def test_the_share_is_exact_and_the_rest_untouched(tokenizer):
    rows = many(tokenizer)
    batch = batch_of(rows, 48)
    masked = Masker(tokenizer, 0.15, 1).training(batch, 0)
    labels, positions = masked.arrays["labels"], masked.arrays["positions"]
    assert labels.shape == positions.shape == (300, 7)  # 15 % of 48 tokens at most
    assert (labels != IGNORE_INDEX).sum(axis=1).tolist() == [
        6
    ] * 300  # 15 % of 40, that may be chosen
    changed = masked.arrays["input_ids"] != batch.arrays["input_ids"]
    for row in range(300):
        places = positions[row, labels[row] != IGNORE_INDEX]
        assert len(set(places)) == 6
        assert places.min() > 0
        assert places.max() < 41
        assert labels[row, :6].tolist() == rows[row, places].tolist()
        assert set(np.flatnonzero(changed[row])) <= set(places)
    assert np.array_equal(batch.arrays["input_ids"][:, :42], rows)  # the batch given stays


def test_eighty_ten_ten(tokenizer):
    rows = many(tokenizer, 3000)
    masked = Masker(tokenizer, 0.15, 1).training(batch_of(rows, 42), 0)
    scored = masked.arrays["labels"] != IGNORE_INDEX
    now = np.take_along_axis(masked.arrays["input_ids"], masked.arrays["positions"], axis=1)[scored]
    was = masked.arrays["labels"][scored]
    assert len(now) == 18000
    other = (now != tokenizer.mask_token_id) & (now != was)
    # Three standard deviations are 0.9 % and 0.7 %; a random token may be the old one or a mask.
    assert (now == tokenizer.mask_token_id).mean() == pytest.approx(0.8, abs=0.012)
    assert other.mean() == pytest.approx(0.1, abs=0.01)
    assert (now == was).mean() == pytest.approx(0.1, abs=0.01)
    drawn = np.unique(now[other])
    assert len(drawn) > 0.9 * len(tokenizer)  # from the whole vocabulary
    assert drawn.max() < len(tokenizer)
    # Every place of a row is as likely as another.
    counts = np.bincount(masked.arrays["positions"][scored], minlength=42)[1:-1]
    assert counts.min() > 350
    assert counts.max() < 550


def test_short_rows_and_filling(tokenizer):
    special = tokenizer.cls_token_id
    rows = [[special, 20, special], [special, special], []]
    masked = Masker(tokenizer, 0.15, 1).evaluation(batch_of(rows, 8, [4, 5, -1]))
    assert masked.arrays["labels"].tolist() == [[20], [IGNORE_INDEX], [IGNORE_INDEX]]
    assert masked.arrays["positions"].tolist() == [[1], [0], [0]]
    assert masked.arrays["input_ids"][1:].tolist() == [[special, special, *[0] * 6], [0] * 8]


def test_spans_mask_whole_words_once_they_begin(tokenizer):
    """Of a word's pieces all are chosen or none, but for the one span that the share cuts off."""
    masker = Masker(tokenizer, 0.3, 1, span=1.5, span_start=7)
    continues = masker.continues
    assert continues.any()
    rows = many(tokenizer, 200, 60)

    def parted(step):
        """Joints of words with one side chosen and the other not."""
        masked = masker.training(batch_of(rows, 60), step)
        count = 0
        for number in range(len(rows)):
            labels = masked.arrays["labels"][number]
            chosen = np.zeros(60, bool)
            chosen[masked.arrays["positions"][number][labels != IGNORE_INDEX]] = True
            inside = continues[rows[number]].copy()
            inside[:2] = False  # a row that begins within a word
            joints = np.flatnonzero(inside)
            count += int((chosen[joints] != chosen[joints - 1]).sum())
        return count

    assert parted(7) <= len(rows)
    assert parted(6) > 5 * len(rows)
    # Evaluation chooses single tokens, whatever the training.
    plain_masker = Masker(tokenizer, 0.3, 1)
    for name, array in plain_masker.evaluation(batch_of(rows, 60)).arrays.items():
        assert (masker.evaluation(batch_of(rows, 60)).arrays[name] == array).all()


def test_token_zero_is_scored_where_it_is_a_word():
    vocabulary = {word: number for number, word in enumerate(["the", "cat", "[UNK]", "[MASK]"])}
    raw = Tokenizer(token_models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="[UNK]", mask_token="[MASK]"
    )
    masked = Masker(tokenizer, 0.5, 1).evaluation(batch_of([[0, 0, 0, 0]], 4))
    assert masked.arrays["labels"].tolist() == [[0, 0]]


def test_masks_of_training_change_and_those_of_evaluation_stay(tokenizer):
    masker = Masker(tokenizer, 0.15, 1)
    batch = batch_of(many(tokenizer, 8), 42)

    def ids(masked):
        return masked.arrays["input_ids"].tolist()

    assert ids(masker.training(batch, 3)) == ids(masker.training(batch, 3))
    assert ids(masker.training(batch, 3)) != ids(masker.training(batch, 4))
    assert ids(masker.training(batch, 3)) != ids(Masker(tokenizer, 0.15, 2).training(batch, 3))
    assert ids(masker.evaluation(batch)) == ids(masker.evaluation(batch))
    assert ids(masker.evaluation(batch)) != ids(Masker(tokenizer, 0.15, 2).evaluation(batch))


def test_masks_of_evaluation_are_the_rows_own(tokenizer):
    masker = Masker(tokenizer, 0.15, 1)
    rows = [row[: 5 + 4 * number] for number, row in enumerate(many(tokenizer, 9))]
    alone = {}
    for number, row in enumerate(rows):
        masked = masker.evaluation(batch_of([row], len(row), [number]))
        alone[number] = masked.arrays["input_ids"][0].tolist()
    together = masker.evaluation(batch_of(rows[::-1], 64, list(range(9))[::-1]))
    for place, number in enumerate(range(9)[::-1]):
        row = together.arrays["input_ids"][place, : len(rows[number])].tolist()
        assert row == alone[number]


def test_training_may_mask_another_share(checkpoint, files, tokenizer, tmp_path, monkeypatch):
    """That of evaluation stays, so that its perplexity means the same."""
    given = {}
    monkeypatch.setattr(session, "train_model", lambda *_, **options: given.update(options))
    monkeypatch.setattr(session, "finish", lambda *_, **__: None)
    scripts.call(
        "run_mlm_flax", f"--model_name_or_path={checkpoint()}", "--do_train",
        f"--train_file={files / 'text.txt'}", f"--validation_file={files / 'text.txt'}",
        f"--output_dir={tmp_path / 'out'}", "--train_mlm_probability=0.4", *scripts.TRAINING,
    )  # fmt: skip
    batch = batch_of(many(tokenizer, 50), 42)
    training, evaluation = given["prepare"](batch, 0), given["evaluate"].args[-1](batch)
    for masked, share in ((training, 0.4), (evaluation, 0.15)):
        scored = (masked.arrays["labels"] != IGNORE_INDEX).sum()
        words = batch.arrays["attention_mask"].sum() - 2 * 50  # without [CLS] and [SEP]
        assert scored == pytest.approx(words * share, rel=0.05)


def test_bytes_of_word_pieces(tokenizer):
    sizes = token_bytes(tokenizer)
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    assert len(sizes) == len(tokenizer)
    for piece, size in zip(pieces, sizes, strict=True):
        special = piece in tokenizer.all_special_tokens
        assert size == (0 if special else len(piece.removeprefix("##").encode()))
    texts = [text for text in toy_data.TEXT.splitlines() if text]
    ids = plain(tokenizer, texts)
    assert sizes[ids].sum() == len("".join(toy_data.TEXT.split()))


def test_bytes_of_a_byte_level_vocabulary():
    raw = Tokenizer(token_models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=270, initial_alphabet=alphabet, show_progress=False)
    raw.train_from_iterator(["the theme of the thesis"] * 9, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw)
    text = "the thé of thé €"
    ids = tokenizer(text)["input_ids"]
    assert token_bytes(tokenizer)[ids].sum() == len(text.replace(" ", "").encode())


def test_perplexity_accuracy_and_bits_by_hand(tokenizer, checkpoint):
    model = models.from_pretrained(checkpoint(), "masked_lm")
    rows = [np.array(row, np.int32) for row in many(tokenizer, 7, 22)]
    batches = Batches(
        {"input_ids": rows, "attention_mask": [np.ones(22, np.int32)] * 7},
        padding={"input_ids": 0},
        batch_size=3,
        buckets=1,
    )
    masker, sizes = Masker(tokenizer, 0.15, 1), token_bytes(tokenizer)
    step = make_eval_step(model, score)
    found = evaluate_language(
        step, model, batches, tokenizer, sizes, text_around, masker.evaluation
    )
    losses, hits, worst, scored_bytes = [], [], [], 0
    for number, row in enumerate(rows):
        masked = masker.evaluation(batch_of([row], 24, [number])).arrays
        logits = np.asarray(model(masked["input_ids"], masked["attention_mask"]), np.float64)[0]
        for place, label in zip(masked["positions"][0], masked["labels"][0], strict=True):
            if label != IGNORE_INDEX:
                losses.append(np.log(np.exp(logits[place]).sum()) - logits[place, label])
                hits.append(logits[place].argmax() == label)
                scored_bytes += sizes[label]
        place = int(np.argmax(losses[-3:]))
        position, label = masked["positions"][0, place], masked["labels"][0, place]
        ids = masked["input_ids"][0, :22]
        worst.append(
            {
                "before": tokenizer.decode(ids[:position]),
                "after": tokenizer.decode(ids[position + 1 :]),
                "label": tokenizer.decode([label]),
                "prediction": tokenizer.decode([logits[position].argmax()]),
                "loss": pytest.approx(max(losses[-3:]), abs=1e-3),
            }
        )
    assert len(losses) == 21
    assert list(found.predictions()) == worst
    assert found.metrics == {
        "eval_loss": pytest.approx(np.mean(losses), rel=1e-5),
        "eval_accuracy": np.mean(hits),
        "eval_perplexity": pytest.approx(math.exp(np.mean(losses)), rel=1e-5),
        "eval_bits_per_byte": pytest.approx(sum(losses) / math.log(2) / scored_bytes, rel=1e-5),
        "eval_samples": 7,
    }


def test_the_likeliest_tokens_for_a_mask(trained, tokenizer):
    rows = scripts.json_lines(trained("mlm") / "predictions.json")
    assert [row["text"] for row in rows] == [
        "Alice Ray met [MASK] in Paris .",
        "[MASK] saw the [MASK] .",
    ]
    assert [[len(five) for five in row["fillings"]] for row in rows] == [[5], [5, 5]]
    assert scripts.results(trained("mlm"), "test") == {"test_samples": 2}
    model = models.from_pretrained(trained("mlm"), "masked_lm")
    ids = np.array(tokenizer([rows[1]["text"]])["input_ids"])
    logits = np.asarray(model(ids))[0]
    places = np.flatnonzero(ids[0] == tokenizer.mask_token_id)
    for place, five in zip(places, rows[1]["fillings"], strict=True):
        assert tokenizer.convert_tokens_to_ids(five) == np.argsort(-logits[place])[:5].tolist()
