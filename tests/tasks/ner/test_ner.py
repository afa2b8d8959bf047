"""Named entities: files, labels of pieces, windows of long sentences, metrics, the baseline."""

import json

import numpy as np
import pytest
import seqeval.metrics
from support.paths import DATA
from support.toy_tokenizers import letter_tokenizer

from stages.core.errors import InputError
from stages.data.encode import Encoder
from stages.data.tables import Table
from stages.tasks.ner.baseline import baselines
from stages.tasks.ner.examples import encode_tags, read_examples
from stages.tasks.ner.metric import NamedEntities
from stages.tasks.ner.tags import label_list
from stages.tasks.ner.windows import MergedTags, align_labels, continuation_labels, tokenize

NAMES = ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]


@pytest.fixture
def write(tmp_path):
    def writer(content, name="a.json"):
        path = tmp_path / name
        if not isinstance(content, str):
            content = "\n".join(json.dumps(row) for row in content)
        path.write_text(content, encoding="utf-8")
        return path

    return writer


@pytest.fixture(scope="module")
def tokenizer():
    return letter_tokenizer()


def test_json_columns(write):
    rows = read_examples(write([{"words": ["Ann", "ran"], "ner": ["B-PER", "O"]}]))
    assert rows.tokens == [["Ann", "ran"]]
    assert rows.tags == [["B-PER", "O"]]
    assert label_list(rows.tags) == ["B-PER", "O"]
    path = write([{"id": 1, "ner_tags": [4, 1], "tokens": ["a", "b"]}])
    rows = read_examples(path, label_list=NAMES)
    assert rows.tags == [["O", "B-PER"]]
    assert encode_tags(rows, NAMES)[0].tolist() == [4, 1]


def test_conll(write):
    content = (
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n\t\nBonn NNP B-NP B-LOC"
    )
    rows = read_examples(write(content, "a.conll"))
    assert rows.tokens == [["EU", "rejects"], ["Bonn"]]
    assert rows.tags == [["B-ORG", "O"], ["B-LOC"]]
    assert rows.where(1).endswith("a.conll, line 7")
    limited = read_examples(write(content, "a.conll"), limit=1)
    assert limited.tags == [["B-ORG", "O"]]
    assert label_list(limited.tags) == ["B-ORG", "O"]
    rows = read_examples(write("\xa0\tO\nNew York\tB-LOC\n", "a.txt"))
    assert rows.tokens == [["\xa0", "New York"]]


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"words": ["a"], "ner": ["O"], "pos": ["x"]}, ["words", "ner"]),
        ({"tags": ["O"], "text": "a", "pieces": ["a"]}, ["pieces", "tags"]),
        ({"tokens": ["a"], "spans": ["O"], "source": "web"}, ["tokens", "spans"]),
    ],
)
def test_columns_of_json(write, row, columns):
    rows = read_examples(write([row]))
    assert rows.columns == dict(zip(("tokens", "ner_tags"), columns, strict=True))
    assert (rows.tokens, rows.tags) == ([["a"]], [["O"]])


def test_columns_that_would_be_guessed(write):
    path = write([{"tokens": ["a"], "pos_tags": ["O"], "spans": ["O"]}])
    with pytest.raises(InputError, match=r"which column is ner_tags\? there are 'tokens', 'pos"):
        read_examples(path)
    assert read_examples(path, label_column="spans").columns["ner_tags"] == "spans"


def test_columns_of_text(write):
    assert read_examples(write("a x O\n", "a.txt")).columns == {"tokens": "1", "ner_tags": "3"}
    rows = read_examples(write("a x O\nb O\n", "a.txt"))
    assert rows.columns == {"tokens": "1", "ner_tags": "last"}
    assert rows.kept_columns == {}
    assert read_examples(write("a\n", "a.txt"), needs_labels=False).columns == {"tokens": "1"}


def test_rows_without_tags(write):
    assert read_examples(write("a\nb\n", "a.txt"), needs_labels=False).tags is None
    rows = read_examples(write([{"tokens": ["a"], "other": 1}]), needs_labels=False)
    assert rows.tags is None


@pytest.mark.parametrize("tags", [None, [], "", "?", -1, [-1, -1], ["", "B-X"], ["?", "?"], [None]])
def test_placeholders_are_no_tags(write, tags):
    labelled = {"tokens": ["a", "b"], "ner_tags": ["O", "O"]}
    path = write([labelled, {"tokens": ["a", "b"], "ner_tags": tags}])
    assert read_examples(path, needs_labels=False).tags is None
    with pytest.raises(InputError, match="line 2"):
        read_examples(path)


def test_placeholders_in_text(write):
    for content in ("a O\nb ?\n", "a O\n\nb _\n", "a O\n\nb\n", "a -1\n"):
        assert read_examples(write(content, "a.conll"), needs_labels=False).tags is None


NUMBERED = (
    "#\twww.a.org [2009]\n1\tAnn\tB-PER\tO\n2\tran\tO\tO\n\n#\tb\n1\tTo\tO\tO\n2\tBonn\tB-LOC\tO\n"
)


@pytest.mark.parametrize(
    "content",
    [
        "1 Ann B-PER\n2 ran O\n",
        "0\tAnn\tB-PER\n1\tran\tO\n",
        "1 Ann B-PER\n2 ran O\n\n3 Bo B-PER\n4 ran O\n",
        "7 Ann B-PER\n7 ran O\n\n8 Bo B-PER\n8 ran O\n",
        "1. Ann B-PER\n2. ran O\n",
        "t1 Ann B-PER\nt2 ran O\n",
        "1-1 Ann B-PER\n1-2 ran O\n",
        "1-2 vámonos _ O\n1 vamos _ O\n2 nos _ O\n",
        NUMBERED.replace("#\twww.a.org [2009]\n", "").replace("#\tb\n", ""),
        "a/b/c 0 0 Ann B-PER\n" * 6,
    ],
)
def test_columns_that_number_the_words(write, content):
    for needs_labels in (True, False):
        with pytest.raises(InputError, match=r"a.conll: the first column, .* --text_column_name"):
            read_examples(write(content, "a.conll"), needs_labels=needs_labels)


def test_columns_by_number(write):
    path = write(NUMBERED, "a.tsv")
    rows = read_examples(path, text_column="2", label_column="3")
    assert rows.tokens == [["Ann", "ran"], ["To", "Bonn"]]
    assert rows.tags == [["B-PER", "O"], ["O", "B-LOC"]]
    assert rows.where(1).endswith("line 6")
    assert rows.columns == {"tokens": "2", "ner_tags": "3"}
    assert read_examples(path, text_column="2").tags == [["O", "O"], ["O", "O"]]
    # Numbers are words where they are the whole text, or stand among others.
    assert read_examples(write("1\n2\n", "a.txt"), needs_labels=False).tokens == [["1", "2"]]
    assert read_examples(write("1 O\nmay O\n", "a.txt")).tokens == [["1", "may"]]
    assert read_examples(write("# O\n1 O\n", "a.txt")).tokens == [["#", "1"]]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"text_column": "words"}, "--text_column_name is 'words'; the columns of CoNLL text have"),
        ({"label_column": "0"}, "--label_column_name is '0'"),
        ({"text_column": "-1"}, "--text_column_name is '-1'"),
        ({"text_column": "9"}, "line 2: 4 columns, of which --text_column_name 9 and --label_colu"),
    ],
)
def test_columns_refused(write, flags, message):
    with pytest.raises(InputError, match=message):
        read_examples(write(NUMBERED, "a.tsv"), **flags)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a", "b"], "ner_tags": ["O"]}, "line 1: 2 words but 1 tags"),
        ({"tokens": [], "ner_tags": []}, "line 1: 'tokens' is empty"),
        ({"tokens": ["a", 5], "ner_tags": ["O", "O"]}, "line 1: word 1 is 5; expected text"),
        ({"tokens": ["a", ""], "ner_tags": ["O", "O"]}, "line 1: word 1 is empty"),
        ({"tokens": "a b", "ner_tags": ["O"]}, "'tokens' is 'a b'; expected a list of words"),
        ({"tokens": ["a"], "ner_tags": "O"}, "'ner_tags' is 'O'; expected a list of tags"),
        (
            {"tokens": ["a"], "ner_tags": ["PER"]},
            "word 0: the tag is 'PER'; expected O, or",
        ),
        ({"tokens": ["a"], "ner_tags": ["B-"]}, "line 1, word 0: the tag is 'B-'"),
        ({"tokens": ["a"], "ner_tags": ["B"]}, "line 1, word 0: the tag is 'B'"),
        ({"tokens": ["a"], "ner_tags": [None]}, "line 1, word 0: the tag is None"),
        ({"tokens": ["a"], "ner_tags": [1]}, "line 1, word 0: the tag is the number 1; write"),
    ],
)
def test_json_refused(write, row, message):
    with pytest.raises(InputError, match=message):
        read_examples(write([row]))


def test_unknown_tag(write):
    path = write([{"tokens": ["a"], "ner_tags": ["O"]}, {"tokens": ["a"], "ner_tags": ["B-X"]}])
    message = "line 2, word 0: the tag 'B-X' is none of those known: B-LOC, B-PER"
    with pytest.raises(InputError, match=message):
        read_examples(path, label_list=NAMES)
    with pytest.raises(InputError, match=message):
        encode_tags(read_examples(path), NAMES)
    path = write([{"tokens": ["a"], "ner_tags": [7]}])
    with pytest.raises(InputError, match="line 1, word 0: the tag is 7; there are 5 tags"):
        read_examples(path, label_list=NAMES)


def test_missing_row_key(write):
    path = write([{"tokens": ["a"], "ner_tags": ["O"]}, {"tokens": ["a"]}])
    with pytest.raises(InputError, match="line 2: 'ner_tags' is None; expected a list of tags"):
        read_examples(path)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a O\nb\n", "a.txt", "a.txt, line 2: no tag behind the word 'b'"),
        ("a\nb O\n", "a.txt", "a.txt, line 1: no tag behind the word 'a'"),
        ("-DOCSTART- O\n", "a.conll", "a.conll: no sentences"),
        ("\tO\n", "a.conll", "a.conll, line 1: word 0 is empty"),
        ("tokens,tags\na,O\n", "a.csv", "a CSV cell holds no list of words"),
        ('{"tokens": ["a"], "ner_tags": ["O"]}\n', "a.txt", "a.txt: JSON, not plain text; name it"),
        ('[{"tokens": ["a"], "ner_tags": ["O"]}]\n', "a.conll", "a.conll: JSON, not plain text"),
    ],
)
def test_text_refused(write, content, name, message):
    with pytest.raises(InputError, match=message):
        read_examples(write(content, name))


def test_align_labels():
    continuation = continuation_labels(NAMES)
    assert continuation == [2, 3, 2, 3, 4]
    assert continuation_labels(["B-ORG", "O"]) == [0, 1]
    word_ids = [None, 0, 0, 1, 2, 2, None]
    labels = [1, 4, 3]
    assert align_labels(word_ids, labels, False, continuation).tolist() == [
        -100, 1, -100, 4, 3, -100, -100,
    ]  # fmt: skip
    assert align_labels(word_ids, labels, True, continuation).tolist() == [
        -100, 1, 3, 4, 3, 3, -100,
    ]  # fmt: skip


def test_short_and_long_sentences(tokenizer):
    sentences = [["ab", "c"], ["abc", "de", "a", "b", "cd"]]
    labels = [np.array([1, 4]), np.array([0, 2, 4, 4, 1])]
    windows = tokenize(Encoder(tokenizer), sentences, max_seq_length=7, labels=labels, names=NAMES)
    # Nine pieces, five to a window: two windows of five and four.
    assert windows.sentence.tolist() == [0, 1, 1]
    assert [ids.tolist() for ids in windows.columns["input_ids"]] == [
        [2, 4, 10, 6, 3],
        [2, 4, 10, 11, 7, 13, 3],
        [2, 4, 5, 6, 12, 3],
    ]
    assert [ids.tolist() for ids in windows.columns["labels"]] == [
        [-100, 1, -100, 4, -100],
        [-100, 0, -100, -100, 2, -100, -100],
        [-100, 4, 4, 1, -100, -100],
    ]
    assert [words.tolist() for words in windows.words] == [[0, 1], [0, 1], [2, 3, 4]]
    assert windows.columns["input_ids"][0].dtype == np.uint16
    # The right labels at each word's first piece, wrong ones elsewhere, and padding behind.
    best = [np.append(np.where(ids < 0, 0, ids), [0]) for ids in windows.columns["labels"]]
    assert MergedTags(windows, best, NAMES) == [
        ["B-PER", "O"],
        ["B-LOC", "I-LOC", "O", "O", "B-PER"],
    ]


def test_windows_are_even_and_keep_every_word(tokenizer):
    sentences = [["abcde", "a", "bc"] * 7, ["a"] * 11]
    windows = tokenize(Encoder(tokenizer), sentences, max_seq_length=12)
    assert "labels" not in windows.columns
    sizes = [len(ids) for ids in windows.columns["input_ids"]]
    assert max(sizes) <= 12
    assert sizes[-2:] == [8, 7]
    for row, words in enumerate(sentences):
        seen = np.concatenate([windows.words[i] for i in np.flatnonzero(windows.sentence == row)])
        assert seen.tolist() == list(range(len(words)))


def test_word_longer_than_a_window_is_predicted_at_its_first_piece(tokenizer):
    windows = tokenize(Encoder(tokenizer), [["a", "abcdeabcde", "b"]], max_seq_length=6)
    assert [words.tolist() for words in windows.words] == [[0], [1], [2]]
    best = [np.full(6, 1)] * 3
    assert MergedTags(windows, best, NAMES) == [["B-PER"] * 3]


def test_word_of_no_pieces_counts_as_outside(tokenizer):
    windows = tokenize(Encoder(tokenizer), [["a", " ", "b"]], max_seq_length=8)
    assert MergedTags(windows, [np.full(4, 1)], NAMES) == [["B-PER", "O", "B-PER"]]


def test_all_tokens_labelled(tokenizer):
    windows = tokenize(
        Encoder(tokenizer),
        [["ab", "cd"]],
        max_seq_length=8,
        labels=[np.array([1, 4])],
        names=NAMES,
        label_all_tokens=True,
    )
    assert windows.columns["labels"][0].tolist() == [-100, 1, 3, 4, 4, -100]


def test_no_room(tokenizer):
    with pytest.raises(InputError, match="--max_seq_length 2 leaves no room"):
        tokenize(Encoder(tokenizer), [["a"]], max_seq_length=2)


def test_metric_by_hand():
    references = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-PER"]]
    predictions = [["B-PER", "I-PER", "O", "B-PER"], ["O", "B-PER"]]
    scores = NamedEntities().compute(predictions=predictions, references=references, by_type=True)
    assert scores == {
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "accuracy": pytest.approx(5 / 6),
        "LOC_precision": 0.0,
        "LOC_recall": 0.0,
        "LOC_f1": 0.0,
        "LOC_number": 1,
        "PER_precision": pytest.approx(2 / 3),
        "PER_recall": 1.0,
        "PER_f1": pytest.approx(0.8),
        "PER_number": 2,
    }


def test_metric_equals_seqeval():
    random = np.random.default_rng(0)
    references, predictions = (
        [[NAMES[i] for i in random.integers(0, 5, size=9)] for _ in range(50)] for _ in range(2)
    )
    scores = NamedEntities().compute(predictions=predictions, references=references)
    assert scores == {
        "precision": seqeval.metrics.precision_score(references, predictions),
        "recall": seqeval.metrics.recall_score(references, predictions),
        "f1": seqeval.metrics.f1_score(references, predictions),
        "accuracy": seqeval.metrics.accuracy_score(references, predictions),
    }


@pytest.mark.filterwarnings("error")
def test_metric_without_entities():
    scores = NamedEntities().compute(predictions=[["O"]], references=[["O"]], by_type=True)
    assert scores == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "accuracy": 1.0}
    scores = NamedEntities().compute(predictions=[["O"]], references=[["B-PER"]])
    assert scores == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "accuracy": 0.0}


def test_baseline():
    train = read_examples(
        Table("t", ["tokens", "ner_tags"], [
            {"tokens": ["Ann", "saw", "Bonn"], "ner_tags": ["B-PER", "O", "B-LOC"]},
            {"tokens": ["Ann", "Lee"], "ner_tags": ["B-PER", "I-PER"]},
        ])
    )  # fmt: skip
    held_out = read_examples(
        Table("t", ["tokens", "ner_tags"], [
            # New is unseen but first; Zoe is unseen and of the most frequent type.
            {"tokens": ["New", "Zoe", "Lee", "saw", "Bonn"],
             "ner_tags": ["O", "B-PER", "I-PER", "O", "B-LOC"]},
        ])
    )  # fmt: skip
    scores = baselines(train, held_out)
    assert scores == {"lookup": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "accuracy": 1.0}}


@pytest.mark.skipif(not DATA.is_dir(), reason="no real data: FLAXMILL_TEST_DATA names no folder")
def test_sample_files():
    rows = read_examples(DATA / "huggingface-fixtures" / "conll" / "sample.json")
    assert len(rows) == 10
    assert label_list(rows.tags) == ["B-LOC", "B-ORG", "B-PER", "I-LOC", "I-PER", "O"]
    for name, count in (
        ("wnut17train.conll", 3394),
        ("emerging.dev.conll", 1009),
        ("emerging.test.annotated", 1287),
    ):
        rows = read_examples(DATA / "wnut17" / name)
        assert len(rows) == count
        assert len(label_list(rows.tags)) == 13
