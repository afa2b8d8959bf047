"""Generated rows for each task: what is read stands in the file, or one line refuses it."""

import json
import math
from functools import partial
from pathlib import Path

import pytest
from hypothesis import strategies as st
from support.generated import holds, json_files, read, sizes, text, value

from stages.pipeline.make_tokenizer import read_lines
from stages.tasks.clm import convert as clm
from stages.tasks.glue import convert as glue
from stages.tasks.glue import examples as glue_examples
from stages.tasks.glue.labels import label_list
from stages.tasks.ner import convert as ner
from stages.tasks.ner import examples as ner_examples
from stages.tasks.qa import convert as qa
from stages.tasks.qa import examples as qa_examples
from stages.tasks.summarization import convert as summarization
from stages.tasks.summarization import examples as summarization_examples
from stages.tasks.text import convert as running_text
from stages.tasks.text.documents import paragraphs, read_paragraphs, read_texts


def converted(task, path: Path, target: Path, **columns) -> bool:
    """Whether `fetch` would take the file; `target` then holds the standard form."""
    source = task.Source(source=str(path.parent), **columns)
    return read(task.convert, str(path), target, source) is not None


def files(path: Path, *names, values):
    """Write each generated file, give its rows."""
    return json_files(*names, values=values).map(
        lambda made: (path.write_text(made[1], encoding="utf-8", newline=""), made[0])[1]
    )


@sizes
def test_glue(count, tmp_path):
    path, target = tmp_path / "a.json", tmp_path / "train.csv"

    def check(rows):
        reader = partial(glue_examples.read_examples, text_column="sentence1", label_column="label")
        if (found := read(reader, path, needs_labels=False)) is not None:
            assert found.sentence1 == [row["sentence1"] for row in rows]
        taken = converted(
            glue, path, target, text_column_name="sentence1", label_column_name="label"
        )
        found = read(reader, path)
        assert taken == (found is not None)
        if found is None:
            return
        given = [row["label"] for row in rows]
        if found.regression:
            assert list(found.labels) == [float(label) for label in given]
        else:
            for label, name in zip(given, found.labels, strict=True):
                whole = isinstance(label, float) and label.is_integer()
                assert name == str(int(label) if whole else label).strip()
            names = label_list(found.labels)
            places = glue_examples.encode_labels(found, names)
            assert [names[place] for place in places] == found.labels
        again = glue_examples.read_examples(target, regression=found.regression)
        assert again.sentence1 == found.sentence1
        assert list(again.labels) == list(found.labels)

    label = st.one_of(value, st.integers(), st.floats(), st.integers(-2, 2).map(str))
    sentence = st.one_of(text.filter(str.strip), value)
    made = st.one_of(
        files(path, "sentence1", "label", values=st.one_of(text.filter(str.strip), value)),
        st.lists(st.tuples(sentence, label), min_size=1, max_size=4).map(
            lambda pairs: write_rows(path, [{"sentence1": s, "label": x} for s, x in pairs])
        ),
    )
    holds(check, made, count=count)


def write_rows(path: Path, rows: list[dict]) -> list[dict]:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return rows


@sizes
def test_glue_text(count, tmp_path):
    """Any text between commas is a class by its own name."""
    path = tmp_path / "a.csv"
    label = st.text("0123456789eE.+-a_ ", min_size=1, max_size=6).filter(str.strip)

    def check(labels):
        path.write_text("sentence,label\n" + "".join(f"A,{label}\n" for label in labels))
        found = read(glue_examples.read_examples, path)
        if found is not None and not found.regression:
            assert found.labels == [label.strip() for label in labels]
        if found is not None and found.regression:
            assert all(map(math.isfinite, found.labels))

    holds(check, st.lists(label, min_size=1, max_size=4), count=count)


@sizes
def test_ner(count, tmp_path):
    path, target = tmp_path / "a.json", tmp_path / "train.json"
    tag = st.one_of(st.sampled_from(["O", "B-X", "I-X", "S-é"]), value)
    tagged = st.one_of(st.lists(tag, max_size=3), value)

    def check(rows):
        names = {"text_column": "tokens", "label_column": "ner_tags"}
        reader = partial(ner_examples.read_examples, **names)
        if (found := read(reader, path, needs_labels=False)) is not None:
            assert found.tokens == [row["tokens"] for row in rows]
        taken = converted(ner, path, target, **{f"{key}_name": names[key] for key in names})
        found = read(reader, path)
        assert taken == (found is not None)
        if found is None:
            return
        assert found.tags == [row["ner_tags"] for row in rows]
        again = ner_examples.read_examples(target)
        assert (again.tokens, again.tags) == (found.tokens, found.tags)

    words = st.lists(text.filter(bool), min_size=2, max_size=2)
    pairs = st.tuples(st.one_of(words, value), st.one_of(st.just(["O", "B-X"]), tagged))
    made = st.one_of(
        files(path, "tokens", "ner_tags", values=tagged),
        st.lists(pairs, min_size=1, max_size=3).map(
            lambda found: write_rows(path, [{"tokens": w, "ner_tags": t} for w, t in found])
        ),
    )
    holds(check, made, count=count)


@sizes
def test_conll(count, tmp_path):
    path = tmp_path / "a.conll"
    word = st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r\t "), min_size=1)
    cell = st.one_of(word, st.sampled_from(["O", "B-X", "#", "1", "2", "_"]))
    line = st.lists(cell, max_size=3).map("\t".join)

    def check(lines):
        path.write_text("\n".join(lines), encoding="utf-8", newline="")
        for needs_labels in (True, False):
            found = read(ner_examples.read_examples, path, needs_labels=needs_labels)
            if found is not None:
                words = [word for sentence in found.tokens for word in sentence]
                assert words == [line.split("\t")[0] for line in lines if line]

    holds(check, st.lists(line, max_size=6), count=count)


@sizes
def test_qa(count, tmp_path):
    path, target = tmp_path / "a.json", tmp_path / "train.json"
    answers = st.one_of(
        value,
        st.fixed_dictionaries({"text": st.lists(value, max_size=2), "answer_start": value}),
        st.just({"text": ["b"], "answer_start": [1]}),
        st.just({"text": [], "answer_start": []}),
        st.lists(st.fixed_dictionaries({"text": value, "answer_start": value}), max_size=2),
    )
    question = st.fixed_dictionaries(
        {"id": value, "question": st.one_of(text, value), "answers": answers}
    )
    flat = st.builds(lambda q, c: {**q, "context": c}, question, st.one_of(st.just("abc"), value))
    paragraph = st.fixed_dictionaries(
        {"context": st.one_of(st.just("abc"), value), "qas": st.lists(question, max_size=2)}
    )
    nested = st.fixed_dictionaries(
        {"paragraphs": st.one_of(st.lists(paragraph, max_size=2), value)}
    )

    def check(rows):
        write_rows(path, rows)
        for options in ({"needs_answers": False}, {"version_2_with_negative": True}, {}):
            found = read(qa_examples.read_examples, path, **options)
            for row in range(len(found or ())):
                pairs = (
                    zip(found.answers[row], found.starts[row], strict=True) if found.answers else ()
                )
                for answer, start in pairs:
                    assert found.contexts[row][start:].startswith(answer)
        if converted(qa, path, target):
            first, again = (
                qa_examples.read_examples(file, version_2_with_negative=True)
                for file in (path, target)
            )
            assert first.ids == again.ids
            assert list(first.references()) == list(again.references())
            assert (first.questions, first.contexts) == (again.questions, again.contexts)

    holds(check, st.lists(st.one_of(flat, flat, nested, value), max_size=3), count=count)


@sizes
def test_summarization(count, tmp_path):
    path, target = tmp_path / "a.json", tmp_path / "train.json"

    def check(rows):
        read(summarization_examples.read_examples, path, needs_summaries=False)
        if (found := read(summarization_examples.read_examples, path)) is None:
            assert not converted(summarization, path, target)
            return
        assert converted(summarization, path, target)
        again = summarization_examples.read_examples(target)
        assert (again.documents, again.summaries) == (found.documents, found.summaries)
        if all(set(row) == {"document", "summary"} for row in rows):
            assert found.documents == [row["document"] for row in rows]
            assert found.summaries == [row["summary"] for row in rows]

    filled = st.one_of(text.filter(str.strip), text.filter(str.strip), value)
    holds(check, files(path, "document", "summary", values=filled), count=count)


@sizes
def test_documents(count, tmp_path):
    """Causal language modelling keeps every blank; the others keep what stands between them."""
    path = tmp_path / "a.json"

    def check(rows):
        found = read(read_texts, path)
        if found is None:
            assert not converted(clm, path, tmp_path / "train.json")
            assert not converted(running_text, path, tmp_path / "train.txt")
            read(read_lines, path)
            return
        if all(set(row) == {"text"} for row in rows):
            assert found == [row["text"] for row in rows if row["text"].strip()]
        assert converted(clm, path, tmp_path / "train.json")
        assert read_texts(tmp_path / "train.json") == found
        assert converted(running_text, path, tmp_path / "train.txt")
        kept = map(paragraphs, read_texts(tmp_path / "train.txt"))
        assert list(kept) == list(map(paragraphs, found))

    holds(check, files(path, "text", values=st.one_of(text, text, text, value)), count=count)


@sizes
@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_plain_documents(count, tmp_path, name):
    path = tmp_path / name

    def check(content):
        path.write_bytes(content.encode())
        found = read(read_texts, path)
        assert (found is None) == (read(read_paragraphs, path) is None)
        if found is not None and name == "a.txt":
            kept = [line for text in found for line in text.split("\n")]
            lines = content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
            assert kept == [line for line in lines.split("\n") if line.strip()]
            assert read(read_lines, path) == [line for line in lines.split("\n") if line]

    holds(check, st.lists(text, max_size=6).map("\n".join), count=count)
