"""`make new`: from files to a profile, for each task; and where it stops."""

import json
import random
import sys
from pathlib import Path

import pytest
import yaml
from support import scripts
from support.paths import DATA, ROOT
from support.repository import Repository
from support.toy_speech import WORDS as TONES
from support.toy_speech import encoded, spoken, write_folder
from support.trials import TRIALS

from stages.core.errors import InputError
from stages.gate.schema import parse_gates
from stages.pipeline import check
from stages.tasks.own_data import read_own_table

WORDS = [
    "good",
    "bad",
    "food",
    "place",
    "waiter",
    "slow",
    "warm",
    "cold",
    "soup",
    "bread",
    "never",
    "again",
    "always",
    "best",
]


def sentence(rng: random.Random) -> str:
    """Some words."""
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 9)))


def reviews(count: int = 200, header: str = "id,review,stars,country") -> str:
    """A CSV of texts, of which some come twice."""
    rng = random.Random(1)
    texts = [sentence(rng) for _ in range(count * 9 // 10)]
    texts += texts[: count - len(texts)]
    rows = [
        f"{number},{text},{rng.choice('12345')},{rng.choice(['no', 'it'])}"
        for number, text in enumerate(texts)
    ]
    return "\n".join([header, *rows]) + "\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository with what a profile takes from the project, to work in; data lie beside it."""
    folder = tmp_path / "project"
    (folder / "profiles").mkdir(parents=True)
    (folder / ".dvc").mkdir()
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for name in ("stages", "requirements.lock"):
        (folder / name).symlink_to(ROOT / name)
    Repository(folder).git("init", "--quiet")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def write(tmp_path):
    def writer(name: str, content) -> Path:
        path = tmp_path / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, str):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_text(content, encoding="utf-8")
        return path

    return writer


def make(task: str, data, *flags) -> str:
    """What the command prints."""
    return scripts.call("pipeline.new_profile.__main__", "mine", f"--task={task}",
                        f"--data={data}", *flags)  # fmt: skip


def refused(task: str, data, *flags) -> str:
    """The one line of a refusal, which leaves nothing."""
    line = scripts.refused("pipeline.new_profile.__main__", "mine", f"--task={task}",
                           f"--data={data}", *flags)  # fmt: skip
    assert not list(Path("profiles").iterdir())
    return line


def params() -> dict:
    """The parameters of the profile."""
    return yaml.safe_load(Path("profiles/mine/params.yaml").read_text())


def source_rows() -> dict[str, list[dict]]:
    """The rows of each split."""
    return {
        split: scripts.json_lines(f"profiles/mine/source/{split}.jsonl")
        for split in ("train", "validation", "test")
    }


def check_profile(monkeypatch) -> None:
    """What `make repro` checks first."""
    # Each task has a gate, also one that only comes before another.
    assert not parse_gates(params()).bad
    monkeypatch.chdir("profiles/mine")
    check.check_params()
    scripts.call("pipeline.unroll", "--check")


REVIEWS = ("--text_column_name=review", "--label_column_name=stars")


def test_reviews(project, write, monkeypatch):
    said = make("glue", write("reviews.csv", reviews()), *REVIEWS)
    assert "columns: sentence1 = review, label = stars\n" in said
    assert "columns that are not read: id, country\n" in said
    assert (
        "no file for validation and test: a tenth of the 200 rows for each, drawn by the seed 1; "
        "rows that share a text stay in one split\n" in said
    )
    assert "  label: 5 classes: " in said
    assert "  words of a first sentence: 3 to 9, half of them up to " in said
    assert "model: a small new one (bert), with a tokenizer of the training text" in said
    assert "mlm comes first: a new model fills gaps in the same text, and glue starts" in said
    assert said.endswith("next: make repro PROFILE=mine\n")
    found = params()
    task = found["tasks"]["glue"]
    assert task["data"] == {
        "source": "source",
        "text_column_name": "review",
        "label_column_name": "stars",
    }
    assert task["model_name_or_path"] == "models/mlm"
    first = found["tasks"]["mlm"]
    assert first["data"] == {"source": "source", "text_column_name": "review"}
    assert first["model_name_or_path"] == "models/start/bert"
    assert first["from_scratch"] is True
    assert "data_license" not in task | first
    assert task["warmup_steps"] < task["eval_steps"] < task["max_steps"]
    assert found["gates"] == {
        "glue": {"eval_accuracy": {"beats": "baseline"}},
        "mlm": {"eval_perplexity": {"tolerance": "10%", "better": "lower"}},
    }
    assert found["tokenizers"]["bert"]["columns"] == ["sentence1"]
    profile = Path("profiles/mine")
    rows = source_rows()
    assert sum(map(len, rows.values())) == 200
    assert list(rows["train"][0]) == ["id", "review", "stars", "country"]
    texts = [{row["review"] for row in split} for split in rows.values()]
    assert len(set.union(*texts)) == sum(map(len, texts))
    assert (profile / "source.dvc").is_file()
    ignored = Repository(project).git("status", "--porcelain", "--untracked-files=all").stdout
    assert "profiles/mine/source.dvc" in ignored
    assert "profiles/mine/source/" not in ignored
    check_profile(monkeypatch)


def test_a_column_to_report_by(project, write, monkeypatch):
    make("glue", write("reviews.csv", reviews()), *REVIEWS, "--group_column_name=country")
    task = params()["tasks"]["glue"]
    assert task["data"]["group_column_name"] == task["group_column_name"] == "country"
    check_profile(monkeypatch)


def test_a_profile_is_never_overwritten(project, write):
    data = write("reviews.csv", reviews())
    make("glue", data, *REVIEWS)
    before = scripts.tree("profiles/mine")
    line = scripts.refused("pipeline.new_profile.__main__", "mine", "--task=glue",
                           f"--data={data}", *REVIEWS)  # fmt: skip
    assert "profiles/mine is there already; give another PROFILE, or remove it" in line
    assert scripts.tree("profiles/mine") == before


@pytest.mark.parametrize(
    ("name", "said"),
    [("embedded", "PROFILE=embedded is the project itself"), ("../x", "'../x' cannot name stages")],
)
def test_names_that_no_profile_has(project, write, name, said):
    data = write("reviews.csv", reviews())
    line = scripts.refused("pipeline.new_profile.__main__", name, "--task=glue", f"--data={data}")
    assert said in line


def test_help_has_the_flags_of_the_task(capsys):
    main = "pipeline.new_profile.__main__"
    for task, flag in (("glue", "--text_pair_column_name"), ("speech", "--name_part")):
        with pytest.raises(SystemExit):
            scripts.call(main, f"--task={task}", "--help", out=sys.stdout)
        assert flag in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "reviews.csv: which column is sentence1 and which label? there are 'id', 'review', "
         "'stars', 'country'; give --text_column_name and --label_column_name"),
        (("--text_column_name=review", "--label_column_name=id"),
         "'id' has 200 different values in 200 rows, and so is no class; give --label_column_name"),
        (("--model=/gone/folder",), "which column"),
    ],
)  # fmt: skip
def test_refused(project, write, flags, said):
    assert said in refused("glue", write("reviews.csv", reviews()), *flags)


def test_flags_as_make_takes_them(project, write, monkeypatch):
    monkeypatch.setenv("MAKELEVEL", "1")
    line = refused("glue", write("reviews.csv", reviews()))
    assert line.endswith('make new ... ARGS="--text_column_name ... --label_column_name ..."')
    monkeypatch.delenv("MAKELEVEL")
    line = refused("glue", write("reviews.csv", reviews()))
    assert line.endswith("give --text_column_name and --label_column_name")


def test_given_splits_and_pairs(project, write, monkeypatch):
    rng = random.Random(2)

    def pairs(count):
        return [
            {"premise": sentence(rng), "hypothesis": sentence(rng), "label": rng.choice("ab")}
            for _ in range(count)
        ]

    write("train.jsonl", pairs(60))
    write("dev.jsonl", [*pairs(9), {"premise": "x y", "hypothesis": "y z", "label": "c"}])
    write("README.md", "what this is")
    said = make("glue", write("test.jsonl", pairs(10)).parent)
    assert "left out: README.md\n" in said
    assert "no file" not in said
    found = params()["tasks"]["glue"]
    # A class that only validation has.
    assert found["label_names"] == "a,b,c"
    # A new model reads both sentences of a pair first, as two paragraphs.
    assert params()["tasks"]["mlm"]["data"]["text_column_name"] == "text"
    assert source_rows()["validation"][-1]["text"] == "x y\ny z"
    assert params()["tokenizers"]["bert"]["columns"] == ["sentence1", "sentence2"]
    check_profile(monkeypatch)


def test_a_label_that_training_lacks(project, write):
    write("train.conll", "Ann\tB-PER\nran\tO\n\n" * 9)
    write("dev.conll", "Ann\tB-PER\n")
    data = write("test.conll", "Ann\tB-PER,B-ORG\n").parent
    line = refused("ner", data)
    assert (
        "test: the label 'B-PER,B-ORG' is none of the training file's; correct it, or give another "
        "file as --test_file" in line
    )


def test_a_table_without_a_header(project, write):
    rng = random.Random(3)
    rows = "".join(f"{sentence(rng)}\t{sentence(rng)}\t{rng.choice('01')}\n" for _ in range(50))
    data = write("dev-en.tsv", rows)
    assert "there are 'column1', 'column2', 'column3'" in refused("glue", data)
    said = make("glue", data, "--text_column_name=column1", "--text_pair_column_name=column2",
                "--label_column_name=column3")  # fmt: skip
    assert "dev-en.tsv: no header; its columns are called column1, column2, column3\n" in said
    assert sum(map(len, source_rows().values())) == 50


def test_a_header_is_a_header(write):
    assert read_own_table(write("a.csv", reviews()))[1] == []
    assert read_own_table(write("b.csv", "text,label\nlabel,text\nx,y\n"))[1] == []


def test_entities(project, write, monkeypatch):
    rng = random.Random(4)
    text = ""
    for _ in range(60):
        text += "".join(f"{word}\tO\n" for word in sentence(rng).split())
        text += f"{rng.choice(['Ann', 'Bo'])}\tB-PER\n\n"
    said = make("ner", write("all.conll", text))
    assert "columns: tokens = 1, ner_tags = 2\n" in said
    assert "  entities: 1 classes: PER 100.0%; 0 sentences without any\n" in said
    assert params()["tokenizers"]["bert"]["columns"] == ["tokens"]
    check_profile(monkeypatch)


def test_questions_go_by_article(project, write, monkeypatch):
    rng = random.Random(5)
    data = []
    for article in range(30):
        paragraphs = []
        for number in range(2):
            context = f"{sentence(rng)} {article} {number}"
            answer = context.split()[0]
            paragraphs.append({
                "context": context,
                "qas": [
                    {"id": f"{article}-{number}-a", "question": "What is first?",
                     "answers": [{"text": answer, "answer_start": 0}]},
                    {"id": f"{article}-{number}-b", "question": "Who?", "answers": [],
                     "is_impossible": True},
                ],
            })  # fmt: skip
        data.append({"title": f"t{article}", "paragraphs": paragraphs})
    said = make("qa", write("dev-v2.0.json", json.dumps({"version": "v2.0", "data": data})))
    assert "30 articles\n" in said
    assert "  questions without an answer: 48 (50.0%)\n" in said
    articles = [
        {
            row["id"].split("-")[0]
            for row in scripts.json_lines(f"profiles/mine/source/{split}.jsonl")
        }
        for split in ("train", "validation", "test")
    ]
    assert sum(map(len, articles)) == 30
    task = params()["tasks"]["qa"]
    assert task["version_2_with_negative"] is True
    assert task["doc_stride"] < task["max_seq_length"]
    check_profile(monkeypatch)


@pytest.mark.parametrize("task", ["mlm", "clm", "t5_mlm"])
def test_text(task, project, write, monkeypatch):
    rng = random.Random(6)
    write("one.txt", "\n\n".join(sentence(rng) for _ in range(40)))
    write("LICENSE", "free")
    data = write("two.txt", "\n".join(sentence(rng) for _ in range(400))).parent
    said = make(task, data)
    assert "train: one.txt, two.txt\n" in said
    assert "left out: LICENSE\n" in said
    assert "two.txt: hardly a blank line ends a document; 20 lines are one\n" in said
    assert "a tenth of the 60 rows for each" in said
    check_profile(monkeypatch)


def test_summaries(project, write, monkeypatch):
    rng = random.Random(7)
    rows = [
        {"source": [sentence(rng), sentence(rng)], "target": [sentence(rng), "x"], "title": "t"}
        for _ in range(40)
    ]
    data = write("all.jsonl", rows)
    assert "give --text_column and --summary_column" in refused("summarization", data)
    said = make("summarization", data, "--text_column=source", "--summary_column=target")
    assert "source is a list; its texts are joined\n" in said
    assert "target is a list; its first text is the summary\n" in said
    row = scripts.json_lines("profiles/mine/source/test.jsonl")[0]
    assert isinstance(row["source"], str)
    assert row["target"] != "x"
    check_profile(monkeypatch)


def test_speech(project, tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "given", ["low mid", "high", "mid low high", "low"] * 3)
    said = make("speech", folder)
    assert "columns: audio = file_name, text = text\n" in said
    assert "left out" not in said
    assert "seconds of a clip: " in said
    assert params()["tasks"]["speech"]["enabled"] is True
    assert list(Path("profiles/mine/source/audio").iterdir())
    check_profile(monkeypatch)


def test_speech_by_the_names_of_its_files(project, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    for number in range(30):
        name = folder / f"{number % 3}_ann_{number}.wav"
        name.write_bytes(encoded(spoken(list(TONES)[number % 3])))
    assert "give --name_part 1 to 3 if a part of the name" in refused("speech", folder)
    said = make("speech", folder, "--name_part=1")
    assert "different transcripts: 3\n" in said


def test_a_checkpoint(project, write, tmp_path, checkpoint, monkeypatch):
    folder = checkpoint("bert")
    said = make("glue", write("reviews.csv", reviews()), *REVIEWS, f"--model={folder}")
    name = Path(folder).name
    assert f"model: {folder} (bert), copied to checkpoints/{name}\n" in said
    found = params()
    assert found["tokenizers"] == {}
    assert found["tasks"]["glue"]["model_name_or_path"] == f"checkpoints/{name}"
    assert "from_scratch" not in found["tasks"]["glue"]
    assert (Path("profiles/mine/checkpoints") / f"{name}.dvc").is_file()
    seen = Repository(project).git("status", "--porcelain", "--untracked-files=all").stdout
    assert f"profiles/mine/checkpoints/{name}.dvc" in seen
    assert f"profiles/mine/checkpoints/{name}/" not in seen
    check_profile(monkeypatch)


def test_a_checkpoint_of_another_kind(project, write, checkpoint):
    line = refused("glue", write("reviews.csv", reviews()), *REVIEWS, f"--model={checkpoint('t5')}")
    assert "is of type 't5'; the task needs one of bert" in line


def test_no_such_checkpoint(project, write, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    line = refused("glue", write("reviews.csv", reviews()), *REVIEWS, "--model=/gone/folder")
    assert "/gone/folder: no such folder" in line


def test_other_figures_need_other_steps():
    from stages.tasks.own_training import schedule

    for rows in (1, 3, 40, 10_000):
        found = schedule(rows, batch=16, epochs=10, length=64)
        assert found["per_device_train_batch_size"] <= max(1, rows)
        assert found["warmup_steps"] < found["max_steps"] <= 2000
        assert 1 <= found["eval_steps"] <= found["max_steps"]


@pytest.mark.skipif(not DATA.is_dir(), reason="no real data: FLAXMILL_TEST_DATA names no folder")
@pytest.mark.parametrize("name", TRIALS)
def test_real_data(name, project, monkeypatch):
    trial = TRIALS[name]
    said = make(trial.task, DATA / trial.data, *trial.flags)
    assert "next: make repro" in said
    check_profile(monkeypatch)


def test_read_own_table_names_the_row(write):
    with pytest.raises(InputError, match=r"a.csv, line 3: 1 cells"):
        read_own_table(write("a.csv", "a,b\n1,2\n3\n"))
