"""Question answering: files, windows, answers from logits, the baseline."""

import json

import numpy as np
import pytest
from support.paths import DATA
from support.toy_tokenizers import letter_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from stages.core.errors import InputError
from stages.data.encode import Encoder
from stages.data.tables import Table
from stages.data.writer import build_store, ragged_array
from stages.tasks.qa.answers import find_answers
from stages.tasks.qa.arguments import QaArguments
from stages.tasks.qa.baseline import baselines, overlap_answer
from stages.tasks.qa.examples import read_examples
from stages.tasks.qa.metric import SquadV2
from stages.tasks.qa.windows import MAX_QUESTION, Windows, tokenize
from stages.training.results import write_results


@pytest.fixture
def write(tmp_path):
    def writer(content, name="a.json"):
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return path

    return writer


@pytest.fixture
def tokenizer():
    return letter_tokenizer(model_input_names=["input_ids", "token_type_ids", "attention_mask"])


def _row(**changes):
    row = {
        "id": "q1",
        "question": "Who?",
        "context": "Ann met Bo.",
        "answers": {"text": ["Ann", "Bo"], "answer_start": [0, 8]},
    }
    return {key: value for key, value in (row | changes).items() if value is not ...}


def _nested(**changes):
    row = _row(**changes)
    context = row.pop("context", ...)
    paragraph = {"qas": [row]} if context is ... else {"qas": [row], "context": context}
    return {"version": "v2.0", "data": [{"title": "t", "paragraphs": [paragraph]}]}


def _examples(question, context, answers=(), starts=()):
    gold = {"text": list(answers), "answer_start": list(starts)}
    row = {"id": "q", "question": question, "context": context, "answers": gold}
    return read_examples(Table("f", list(row), [row]), version_2_with_negative=True)


NESTED_ANSWERS = [{"text": "Ann", "answer_start": 0}, {"text": "Bo", "answer_start": 8}]


@pytest.mark.parametrize(
    "content",
    [
        {"version": 2.0, "data": [_row()]},
        {"data": [_row(answers=NESTED_ANSWERS, title="t")]},
        json.dumps(_row()) + "\n",
        [_row()],
        _nested(answers=NESTED_ANSWERS),
    ],
)
def test_forms(write, content):
    rows = read_examples(write(content))
    assert rows.ids == ["q1"]
    assert rows.questions == ["Who?"]
    assert rows.contexts == ["Ann met Bo."]
    assert rows.answers == [["Ann", "Bo"]]
    assert rows.starts == [[0, 8]]
    assert rows.where(0).endswith("a.json, question 'q1'")
    assert list(rows.references()) == [
        {"id": "q1", "answers": {"text": ["Ann", "Bo"], "answer_start": [0, 8]}}
    ]


def test_without_answers(write):
    path = write([_row(), _row(id="q2", answers=...)])
    rows = read_examples(path, needs_answers=False)
    assert rows.answers is None
    assert read_examples(path, limit=1, needs_answers=False).ids == ["q1"]
    assert read_examples(write([_row()]), needs_answers=False).answers == [["Ann", "Bo"]]
    empty = write([_row(answers={"text": [], "answer_start": []})])
    assert read_examples(empty, needs_answers=False).answers is None
    assert read_examples(empty, version_2_with_negative=True).answers == [[]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ...}, "'id' is missing; expected text"),
        ({"question": ...}, "question 'q1': 'question' is missing"),
        ({"question": " "}, "question 'q1': 'question' is ' '"),
        ({"context": ...}, "'context' is missing"),
        ({"context": 3}, "'context' is 3; expected text"),
        ({"answers": ...}, "question 'q1': 'answers' is missing"),
        ({"answers": "Ann"}, "question 'q1': 'answers' is 'Ann'; expected"),
        ({"answers": {"text": ["Ann"]}}, "'answers' is {'text': "),
        ({"answers": {"text": ["Ann"], "answer_start": []}}, "1 texts of answers but 0 offsets"),
        ({"answers": {"text": ["Bo"], "answer_start": [7]}},
         "question 'q1': the answer 'Bo' is not at 7 of the context; there is ' B'"),
        ({"answers": {"text": ["Ann"], "answer_start": [-1]}}, "'answer_start' is -1"),
        ({"answers": [{"text": "Ann"}]}, "'answer_start' is missing"),
        ({"answers": {"text": [""], "answer_start": [0]}}, "an answer's text is ''"),
        ({"answers": []}, "question 'q1': no answer; add --version_2_with_negative"),
        ({"is_impossible": True}, "'is_impossible' is set, but there is the answer 'Ann'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [_nested, lambda **changes: [_row(**changes)]])
def test_refused(write, form, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        read_examples(write(form(**changes)))
    place = "data[0].paragraphs[0]" if form is _nested else "a.json, line 1"
    assert place in str(caught.value)


def test_repeated_id(write):
    path = write(json.dumps(_row()) + "\n" + json.dumps(_row()) + "\n")
    with pytest.raises(InputError, match=r"line 2: the id 'q1' is already that of .*, line 1"):
        read_examples(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ('{"data": [\n{"id": "a",}]}', "a.json, line 2: not JSON"),
        ({"data": [{"title": "t", "paragraphs": []}]}, "a.json: no questions"),
        ({"data": [{"title": "t", "paragraphs": 3}]}, "'paragraphs' is 3; expected a list of obj"),
        ({"data": [{"paragraphs": [{"context": "c"}]}]}, r"data\[0\].paragraphs\[0\]: 'qas' is mi"),
    ],
)
def test_broken_files(write, content, message):
    with pytest.raises(InputError, match=message):
        read_examples(write(content))


def test_csv_refused(write):
    with pytest.raises(InputError, match="a CSV cell holds no list of answers"):
        read_examples(write("id,question\n", "a.csv"))


def test_windows_overlap_and_hold_the_answer(tokenizer):
    # Room for the context: 9 - 3 special tokens - 1 of the question = 5; each step moves 5 - 2.
    examples = _examples("  a", "a bc d e a b c d", ["e a"], [7])
    windows = tokenize(Encoder(tokenizer), examples, max_seq_length=9, doc_stride=2, labels=True)
    a, b, c, d, e, more = 4, 5, 6, 7, 8, 11
    assert [ids.tolist() for ids in windows.columns["input_ids"]] == [
        [2, a, 3, a, b, more, d, e, 3],
        [2, a, 3, d, e, a, b, c, 3],
        [2, a, 3, b, c, d, 3],
    ]
    assert windows.columns["token_type_ids"][2].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert windows.example.tolist() == [0, 0, 0]
    assert windows.cls.tolist() == [0, 0, 0]
    assert windows.first.tolist() == [3, 3, 3]
    assert windows.last.tolist() == [7, 7, 5]
    unread = tokenize(Encoder(tokenizer), examples, max_seq_length=9, doc_stride=2, labels=False)
    assert unread.offsets(0).tolist() == [[0, 1], [2, 3], [3, 4], [5, 6], [7, 8]]
    # Only the second window holds both `e` and `a`.
    assert [int(place) for place in windows.columns["start_positions"]] == [0, 4, 0]
    assert [int(place) for place in windows.columns["end_positions"]] == [0, 5, 0]


def test_answer_inside_a_word_takes_the_tokens_around_it(tokenizer):
    examples = _examples("a", "ab cde", ["d"], [4])
    windows = tokenize(Encoder(tokenizer), examples, max_seq_length=12, doc_stride=2, labels=True)
    assert windows.columns["start_positions"] == [6]
    assert windows.columns["end_positions"] == [6]


def test_answer_of_one_character_in_several_tokens():
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    inner.train_from_iterator([], trainer)
    inner.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    bytewise = PreTrainedTokenizerFast(tokenizer_object=inner, cls_token="<s>", sep_token="</s>")
    examples = _examples("a", "b 😀 c", ["😀"], [2])
    windows = tokenize(Encoder(bytewise), examples, max_seq_length=16, doc_stride=2, labels=True)
    # <s> a </s> </s> b, a blank, then the four bytes.
    assert windows.columns["start_positions"] == [6]
    assert windows.columns["end_positions"] == [9]


def test_windows_of_questions_without_answers(tokenizer):
    windows = tokenize(
        Encoder(tokenizer), _examples("a", "b c"), max_seq_length=9, doc_stride=2, labels=True
    )
    assert windows.columns["start_positions"] == [0]
    unread = tokenize(
        Encoder(tokenizer), _examples("a", "b c"), max_seq_length=9, doc_stride=2, labels=False
    )
    assert "start_positions" not in unread.columns


def test_long_question_is_cut(tokenizer):
    examples = _examples("a " * 100, "b c")
    windows = tokenize(Encoder(tokenizer), examples, max_seq_length=90, doc_stride=2, labels=False)
    assert windows.first.tolist() == [MAX_QUESTION + 2]


def test_windows_refused(tokenizer):
    examples = _examples("a b c", "d e")
    with pytest.raises(
        InputError,
        match="question 'q': with 3 tokens of question and 3 special ones --max_seq_length 10 "
        "leaves 4 for the context, which must be more than --doc_stride 4",
    ):
        tokenize(Encoder(tokenizer), examples, max_seq_length=10, doc_stride=4, labels=False)
    tokenizer.padding_side = "left"
    with pytest.raises(InputError, match="pads on the left"):
        tokenize(Encoder(tokenizer), examples, max_seq_length=10, doc_stride=2, labels=False)


def _windows(*contexts):
    """Windows of [CLS] question [SEP] and the given offsets, one for each (question, offsets)."""
    offsets = [np.array(places, np.int32).reshape(-1) for _, places in contexts]
    last = np.array([2 + len(places) // 2 for places in offsets], np.int32)
    columns = {
        "input_ids": ragged_array([[0] * (2 + end) for end in last], np.int32),
        "example": np.array([row for row, _ in contexts], np.int32),
        "cls": np.zeros(len(contexts), np.int32),
        "first": np.full(len(contexts), 3, np.int32),
        "last": last,
        "offsets": ragged_array(offsets, np.int32),
    }
    return Windows(build_store(lambda writer: writer.write(columns)))


def test_answers_from_two_windows():
    examples = _examples("q", "ab cd ef gh")
    windows = _windows((0, [[0, 2], [3, 5], [6, 8]]), (0, [[6, 8], [9, 11]]))
    # The question's token 1 has the highest logits of all: it is never an answer.
    start = [np.array([1.0, 9, 0, 2, 3, 0, 0]), np.array([2.0, 9, 0, 1, 0, 0])]
    end = [np.array([0.5, 9, 0, 0, 1, 4, 0]), np.array([3.0, 9, 0, 2, 5, 0])]
    answers = find_answers(examples, windows, start, end)
    # 3 + 4 over `cd ef`, 2 + 4 over the first window, 1 + 5 over the second.
    assert answers.texts == ["cd ef"]
    assert [entry["text"] for entry in answers.nbest[0]][:3] == ["cd ef", "ab cd ef", "ef gh"]
    assert answers.null_odds is None
    assert list(answers.predictions()) == [{"id": "q", "prediction_text": "cd ef"}]
    # `ef` was found in both windows, 0 + 4 and 1 + 2: the better one counts.
    again = [entry for entry in answers.nbest[0] if entry["text"] == "ef"]
    assert [(entry["start_logit"], entry["end_logit"]) for entry in again] == [(0.0, 4.0)]
    total = sum(entry["probability"] for entry in answers.nbest[0])
    assert total == pytest.approx(1.0)


def test_null_score_is_the_lowest_of_the_windows():
    examples = _examples("q", "ab cd")
    windows = _windows((0, [[0, 2], [3, 5]]), (0, [[3, 5]]))
    start = [np.array([4.0, 0, 0, 1, 0]), np.array([2.0, 0, 0, 0])]
    end = [np.array([4.0, 0, 0, 1, 0]), np.array([1.5, 0, 0, 0])]
    options = {"version_2_with_negative": True}
    answers = find_answers(examples, windows, start, end, **options)
    assert answers.null_odds.tolist() == [1.5]
    assert answers.texts == [""]
    assert answers.spans == ["ab"]
    first = answers.nbest[0][0]
    assert (first["text"], first["start_logit"], first["end_logit"]) == ("", 2.0, 1.5)
    # Probabilities of 3.5 (none), 2 (ab), 1 (ab cd), 0 (cd).
    weights = np.exp([3.5, 2.0, 1.0, 0.0])
    expected = weights / weights.sum()
    found = [entry["probability"] for entry in answers.nbest[0]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    kept = find_answers(examples, windows, start, end, null_score_diff_threshold=1.5, **options)
    assert kept.texts == ["ab"]
    # The metric with this threshold scores the very texts that are written.
    reference = [{"id": "q", "answers": {"text": ["ab"], "answer_start": [0]}}]
    for found, threshold, exact in ((answers, 0.0, 0.0), (kept, 1.5, 100.0)):
        scores = SquadV2().compute(
            predictions=found.predictions(), references=reference, no_answer_threshold=threshold
        )
        assert scores["exact"] == exact


def test_limits_of_the_search():
    examples = _examples("q", "ab cd ef")
    windows = _windows((0, [[0, 2], [3, 5], [6, 8]]))
    start = [np.array([0.0, 0, 0, 5, 0, 1])]
    end = [np.array([0.0, 0, 0, 0, 1, 5])]
    assert find_answers(examples, windows, start, end).texts == ["ab cd ef"]
    assert find_answers(examples, windows, start, end, max_answer_length=2).texts == ["ab cd"]
    assert find_answers(examples, windows, start, end, max_answer_length=1).texts == ["ef"]
    few = find_answers(examples, windows, start, end, n_best_size=1)
    assert [entry["text"] for entry in few.nbest[0]] == ["ab cd ef"]


def test_search_finds_the_best_of_all_spans():
    random = np.random.default_rng(0)
    for length in (1, 7, 40):
        places = [[2 * i, 2 * i + 1] for i in range(length)]
        examples = _examples("q", " ".join(chr(65 + i) for i in range(length)))
        start, end = random.normal(size=(2, length + 4))
        answers = find_answers(
            examples, _windows((0, places)), [start], [end], n_best_size=40, max_answer_length=5
        )
        best = max(
            (start[3 + i] + end[3 + j], examples.contexts[0][2 * i : 2 * j + 1])
            for i in range(length)
            for j in range(i, min(i + 5, length))
        )
        assert answers.texts == [best[1]]


def test_no_valid_span():
    examples = _examples("q", "ab cd")
    windows = _windows((0, [[0, 2], [3, 5]]))
    # The best start stands behind the best end, and with one candidate there is no other.
    start, end = [np.array([1.0, 0, 0, 0, 5])], [np.array([1.0, 0, 0, 5, 0])]
    answers = find_answers(examples, windows, start, end, n_best_size=1)
    assert answers.texts == [""]
    assert answers.nbest == [
        [{"text": "", "probability": 1.0, "start_logit": 0.0, "end_logit": 0.0}]
    ]
    answers = find_answers(
        examples, windows, start, end, n_best_size=1, version_2_with_negative=True
    )
    assert answers.texts == [""]
    assert answers.null_odds.tolist() == [2.0]
    empty = find_answers(examples, _windows((0, [])), [np.ones(4)], [np.ones(4)])
    assert empty.texts == [""]


def test_files(tmp_path):
    examples = _examples("q", "ab ß")
    windows = _windows((0, [[0, 2], [3, 4]]))
    logits = [np.array([0.0, 0, 0, 1, 2])]
    answers = find_answers(examples, windows, logits, logits, version_2_with_negative=True)
    args = QaArguments(
        model_name_or_path="m", output_dir=str(tmp_path), do_eval=True, validation_file="f"
    )
    write_results(args, "eval", {}, answers.files)
    (tmp_path / "eval_results.json").unlink()
    names = ["eval_nbest_predictions.json", "eval_null_odds.json", "eval_predictions.json"]
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == names
    contents = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    assert contents["eval_predictions.json"] == {"q": "ß"}
    assert contents["eval_null_odds.json"] == {"q": -4.0}
    assert contents["eval_nbest_predictions.json"]["q"][0]["text"] == "ß"
    plain = find_answers(examples, windows, logits, logits)
    assert len(plain.files()) == 2


def test_baseline():
    context = "The town lies on a hill. In 1999 the mayor of Bonn was Ann Lee. It rained."
    assert overlap_answer("Who was the mayor of Bonn in 1999?", context) == "Ann Lee"
    rows = _examples("Who was the mayor of Bonn in 1999?", context, ["Ann Lee"], [55])
    assert baselines(rows, version_2_with_negative=False)["overlap"]["exact"] == 100.0
    scores = baselines(rows, version_2_with_negative=True)
    assert scores["no_answer"]["f1"] == 0.0
    assert scores["overlap"]["HasAns_f1"] == 100.0
    assert overlap_answer("Who?", "nothing here") == "nothing here"
    assert overlap_answer("Who?", "...") == "..."


@pytest.mark.skipif(not DATA.is_dir(), reason="no real data: FLAXMILL_TEST_DATA names no folder")
def test_sample_files():
    rows = read_examples(
        DATA / "huggingface-fixtures" / "SQUAD" / "sample.json", version_2_with_negative=True
    )
    assert len(rows) == 14
    path = DATA / "squad_v2" / "dev-v2.0.json"
    rows = read_examples(path, version_2_with_negative=True)
    assert len(rows) == 6078
    assert sum(not texts for texts in rows.answers) == 3168
    with pytest.raises(InputError, match="add --version_2_with_negative"):
        read_examples(path)
    assert len(read_examples(DATA / "xquad" / "xquad.en.json")) == 1190
