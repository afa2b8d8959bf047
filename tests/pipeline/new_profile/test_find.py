"""Which files are the data, and of which split."""

import os
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.pipeline.new_profile.find import find_files, split_of

NONE = {"train": None, "validation": None, "test": None}
CSV = (".csv", ".tsv")


def write(folder: Path, *names: str) -> Path:
    """Files of these names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return folder


def found(folder, *names, endings=CSV, several=False, **given):
    splits, left_out = find_files(write(folder, *names), endings, NONE | given, several=several)
    listed = {
        split: [str(path.relative_to(folder)) for path in paths] for split, paths in splits.items()
    }
    return listed, [str(path.relative_to(folder)) for path in left_out]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("wnut17train.conll", "train"),
        ("emerging.dev.conll", "validation"),
        ("dev-v2.0.json", "validation"),
        ("val/0.csv", "validation"),
        ("train/test.csv", "test"),
        ("training_set.csv", "train"),
        ("reviews.csv", None),
        ("latest.csv", "test"),
        ("train_test.csv", None),
    ],
)
def test_names(name, split):
    assert split_of(Path(name)) == split


def test_a_folder_with_all_splits(tmp_path):
    names = ("README.md", "LICENSE", "data_readme.csv", "train.csv", "dev.csv", "test.csv")
    assert found(tmp_path, *names) == (
        {"train": ["train.csv"], "validation": ["dev.csv"], "test": ["test.csv"]},
        ["LICENSE", "README.md", "data_readme.csv"],
    )


def test_a_file_alone_is_to_be_split(tmp_path):
    assert found(tmp_path, "dev-en.tsv", "NOTICE.txt")[0] == {"train": ["dev-en.tsv"]}
    splits, left_out = find_files(tmp_path / "dev-en.tsv", CSV, NONE, several=False)
    assert (splits, left_out) == ({"train": [tmp_path / "dev-en.tsv"]}, [])


def test_of_a_file_nothing_else_is_looked_at(tmp_path, monkeypatch):
    """Its folder may be a home, or one where others remove what they wrote."""
    write(tmp_path, "reviews.csv", "other/test.csv")
    monkeypatch.setattr(os, "walk", None)
    monkeypatch.setattr(Path, "rglob", None)
    found = find_files(tmp_path / "reviews.csv", CSV, NONE, several=False)
    assert found == ({"train": [tmp_path / "reviews.csv"]}, [])


def test_a_folder_that_vanishes_meanwhile(tmp_path, monkeypatch):
    write(tmp_path, "a/train.csv", "b/x.csv", "test.csv")
    entries = os.scandir

    def scandir(path):
        if Path(path).name == "b":
            raise FileNotFoundError(path)
        return entries(path)

    monkeypatch.setattr(os, "scandir", scandir)
    splits, left_out = find_files(tmp_path, CSV, NONE, several=False)
    assert (set(splits), left_out) == ({"train", "test"}, [])


def test_files_of_one_corpus(tmp_path):
    assert found(tmp_path, "b.csv", "a.csv", "test.csv", several=True)[0] == {
        "train": ["a.csv", "b.csv"],
        "test": ["test.csv"],
    }


def test_files_that_are_given(tmp_path):
    names = ("one.csv", "two.csv", "test.csv")
    assert found(tmp_path, *names, train="two.csv", test="one.csv") == (
        {"train": ["two.csv"], "test": ["one.csv"]},
        ["test.csv"],
    )
    # Whatever its ending.
    left_out = found(tmp_path, "a.test.annotated", train="two.csv", test="a.test.annotated")[1]
    assert left_out == ["one.csv", "test.csv"]


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["a.csv", "b.csv"], {}, "which file is to train on? there are a.csv, b.csv; give its nam"),
        (["a/train.csv", "b/train.csv"], {}, "which file is train? there are a/train.csv, b/tra"),
        (["train.csv", "a_test.csv", "b_test.csv"], {}, "which file is test? .* as --test_file"),
        (["a.json"], {}, "no file that the task reads \\(.csv, .tsv\\)"),
        (["a.csv"], {"test": "b.csv"}, "--test_file b.csv: no such file in"),
    ],
)
def test_refused(tmp_path, names, given, message):
    with pytest.raises(InputError, match=message.replace("?", "\\?")):
        found(tmp_path, *names, **given)


def test_no_such_folder(tmp_path):
    with pytest.raises(InputError, match=r"DATA .*gone: no such file or folder"):
        find_files(tmp_path / "gone", CSV, NONE, several=False)
