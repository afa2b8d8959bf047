"""Summarization: rows, arguments, tokens and prefixes."""

import json

import numpy as np
import pytest
from support import scripts
from support.toy_data import STORIES
from support.toy_tokenizers import STORY_WORDS, word_tokenizer
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, T5Config

from stages.core.errors import InputError
from stages.data.encode import Encoder
from stages.data.tables import Table
from stages.tasks.summarization.arguments import SummarizationArguments
from stages.tasks.summarization.convert import Source, convert
from stages.tasks.summarization.examples import read_examples
from stages.tasks.summarization.tokens import check_prefix, record_prefix, tokenize


def examples(*rows):
    """Rows of document and summary, or of documents alone."""
    names = ["document", "summary"][: len(rows[0])]
    table = [dict(zip(names, row, strict=True)) for row in rows]
    return read_examples(Table("rows", names, table), needs_summaries=len(names) == 2)


@pytest.fixture
def write(tmp_path):
    def writer(content, name="a.json"):
        path = tmp_path / name
        if not isinstance(content, str):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_text(content, encoding="utf-8")
        return path

    return writer


@pytest.mark.parametrize(
    ("content", "name", "given"),
    [
        ([{"summary": "S", "document": "D", "id": "7"}], "a.json", {}),
        ("id,summary,document\n7,S,D\n", "a.csv", {}),
        ([{"id": "7", "article": "D", "highlights": "S"}], "a.jsonl", {}),
        ("body,title,document\nD,S,x\n", "a.csv", {"text_column": "body",
                                                   "summary_column": "title"}),
        ("title,summary,body\nS,x,D\n", "a.csv", {"text_column": "body",
                                                  "summary_column": "title"}),
    ],
)  # fmt: skip
def test_columns(write, content, name, given):
    rows = read_examples(write(content, name), **given)
    assert (rows.documents, rows.summaries) == (["D"], ["S"])
    assert len(rows) == 1
    assert list(rows.columns) == ["document", "summary"]
    # Prediction finds the same summaries.
    assert read_examples(write(content, name), **given, needs_summaries=False).summaries == ["S"]


@pytest.mark.parametrize(
    "row",
    [
        {"document": "D"},
        {"article": "D"},
        {"id": "1", "article": "D"},
        {"document": "D", "url": "u"},
        {"document": "D", "summary": None},
        {"document": "D", "summary": ""},
    ],
)
def test_no_summaries(write, row):
    rows = read_examples(write([row, row]), needs_summaries=False)
    assert (rows.documents, rows.summaries) == (["D", "D"], None)


WHOLE = {"document": "D", "summary": "S"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"document": "D", "summary": None},
         "a.json, line 2: 'summary' is null; expected a summary: fill or drop the row, or name "
         "another column with --summary_column"),
        ({"document": "D"}, "a.json, line 2: 'summary' is missing; expected a summary"),
        ({"document": "D", "summary": " "}, "a.json, line 2: 'summary' is empty"),
        ({"document": "D", "summary": 3}, "a.json, line 2: 'summary' is 3; expected a summary"),
        ({"document": None, "summary": "S"},
         "a.json, line 2: 'document' is null; expected a document: fill or drop the row, or name "
         "another column with --text_column"),
        ({"document": "\n", "summary": "S"}, "a.json, line 2: 'document' is empty"),
        ({"document": ["D"], "summary": "S"}, "a.json, line 2: 'document' is ['D']; expected"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("needed", [True, False])
def test_refused_rows(write, row, message, needed):
    with pytest.raises(InputError) as caught:
        read_examples(write([WHOLE, row]), needs_summaries=needed)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "given", "message"),
    [
        ("document,url", {"summary_column": "title"}, "no column 'title' (--summary_column)"),
        ("document", {}, "no column is left for --summary_column; there are 'document'"),
        ("a,b", {"text_column": "c"}, "no column 'c' (--text_column); there are 'a', 'b'"),
        ("a,b", {}, "which column is document and which summary? there are 'a', 'b'; give"),
        ("article,body,summary", {}, "which column is document? there are 'article', 'body', 'sum"),
    ],
)
def test_refused_columns(write, columns, given, message):
    values = ",".join("x" for _ in columns.split(","))
    path = write(f"{columns}\n{values}\n", "a.csv")
    with pytest.raises(InputError) as caught:
        read_examples(path, **given)
    assert message in str(caught.value)


def test_standard_form(write, tmp_path):
    path = write('title,body\nS,"D, or\nd"\n', "a.csv")
    source = Source(text_column="body", summary_column="title")
    assert convert(str(path), tmp_path / "out.json", source).rows == 1
    assert scripts.json_lines(tmp_path / "out.json") == [{"document": "D, or\nd", "summary": "S"}]
    again = convert(str(tmp_path / "out.json"), tmp_path / "again.json", Source())
    assert again.rows == 1
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "out.json").read_bytes()


def arguments(**given):
    named = {"model_name_or_path": "m", "output_dir": "o", "do_eval": True, "validation_file": "f"}
    return SummarizationArguments(**(named | given))


def test_arguments():
    args = arguments(predict_with_generate=True, num_beams=2, min_length=0)
    assert args.generation_options() == {"num_beams": 2, "min_length": 0}
    assert args.longest_generated == 128
    assert arguments(val_max_target_length=7).longest_generated == 7
    with pytest.raises(InputError, match="--num_beams needs --predict_with_generate"):
        arguments(num_beams=2)
    with pytest.raises(InputError, match="--min_length 9 is above the 8 tokens"):
        arguments(predict_with_generate=True, min_length=9, max_target_length=8)


@pytest.fixture(scope="module")
def words():
    return word_tokenizer()


def test_tokens(words, caplog):
    ids = dict(zip(STORY_WORDS, range(3, 99), strict=False))
    columns = tokenize(
        Encoder(words), examples(("in Paris", "Ann")), prefix="Bo ", max_source_length=9,
        max_target_length=4,
    )  # fmt: skip
    assert [row.tolist() for row in columns["input_ids"]] == [
        [ids["Bo"], ids["in"], ids["Paris"], 1]
    ]
    assert columns["attention_mask"][0].tolist() == [1, 1, 1, 1]
    assert columns["labels"][0].tolist() == [ids["Ann"], 1]
    assert {row[0].dtype for row in columns.values()} == {np.dtype(np.int32), np.dtype(np.uint16)}
    assert "labels" not in tokenize(
        Encoder(words), examples(("Ann",)), prefix="", max_source_length=9, max_target_length=4
    )
    assert not caplog.messages


def test_long_rows_are_cut_and_counted(words, caplog):
    rows = examples(*STORIES[:2], ("Ann", "in London in Paris"))
    columns = tokenize(Encoder(words), rows, prefix="", max_source_length=9, max_target_length=4)
    assert [len(row) for row in columns["input_ids"]] == [9, 9, 2]
    assert [row[-1] for row in [*columns["input_ids"], *columns["labels"]]] == [1] * 6
    assert [len(row) for row in columns["labels"]] == [4, 4, 4]
    assert caplog.messages == [
        "warning: rows: 2 of 3 documents are cut at 9 tokens (--max_source_length)",
        "warning: rows: 2 of 3 documents are longer than the 8 tokens that the tokenizer names as "
        "the model's; relative positions reach further, but it was not trained there",
        "warning: rows: 1 of 3 summaries are cut at 4 tokens (max_target_length)",
    ]


def test_tokens_refused(words):
    with pytest.raises(InputError, match="--source_prefix 'Ann Bo' takes 3 of the 3 tokens"):
        tokenize(Encoder(words), examples(("Ann",)), prefix="Ann Bo", max_source_length=3,
                 max_target_length=4)  # fmt: skip
    endless = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a")),
        eos_token="b",
    )
    with pytest.raises(InputError, match="does not end a text with its end-of-sequence token"):
        tokenize(
            Encoder(endless), examples(("a",)), prefix="", max_source_length=3, max_target_length=4
        )


def test_prefixes(caplog, tmp_path):
    plain = T5Config()
    first = T5Config(task_specific_params={"summarization": {"prefix": "summarize: ", "x": 1}})
    check_prefix(plain, "", "m")
    check_prefix(first, "summarize: ", "m")
    assert not caplog.messages
    check_prefix(plain, "tl;dr ", "m")
    check_prefix(first, "", "m")
    check_prefix(first, "tl;dr ", "m")
    assert [message.split(";")[0] for message in caplog.messages] == [
        "warning: m needs no prefix (its config.json names none)",
        "warning: m expects the prefix 'summarize: ' before a document (its config.json says so), "
        "but --source_prefix is ''",
        "warning: m expects the prefix 'summarize: ' before a document (its config.json says so), "
        "but --source_prefix is 'tl",
    ]
    assert caplog.messages[1].endswith("; add --source_prefix 'summarize: '")
    # What a model was trained with is what it expects, also when it is read again.
    caplog.clear()
    for config, prefix in ((plain, "tl;dr "), (first, "")):
        record_prefix(config, prefix)
        config.save_pretrained(tmp_path)
        check_prefix(T5Config.from_pretrained(tmp_path), prefix, "m")
    assert first.task_specific_params["summarization"]["x"] == 1
    assert not caplog.messages
