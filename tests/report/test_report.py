"""The page of a run: what it shows, from files made up here, and that it needs nothing else."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
import yaml

from stages.report import figures
from stages.report.__main__ import main
from stages.report.content import audio_type, compare, curves_of, mistakes_module
from stages.tasks import registry
from stages.tasks.glue import mistakes as glue

TASKS = ("glue", "ner", "qa", "summarization", "speech", "clm")


def write_lines(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_results(folder: Path) -> None:
    """Predictions of each task, with a mistake in each."""
    pair = {"sentence1": "a <b>", "sentence2": "c & d"}
    write_lines(
        folder / "results/glue/eval_predictions.json",
        [
            {**pair, "label": "same", "prediction": "other", "probability": 0.75},
            {**pair, "label": "same", "prediction": "other", "probability": 0.95},
            {**pair, "label": "same", "prediction": "same", "probability": 0.99},
        ],
    )
    write_lines(
        folder / "results/ner/eval_predictions.json",
        [
            {"tokens": ["Bob", "went"], "ner_tags": ["B-PER", "O"], "predictions": ["O", "O"]},
            {"tokens": ["He"], "ner_tags": ["O"], "predictions": ["O"]},
        ],
    )
    (folder / "results/qa").mkdir(parents=True)
    (folder / "results/qa/eval_predictions.json").write_text(
        json.dumps({"q1": "London", "q2": "", "q3": "in May"})
    )
    nbest = {
        "q1": [{"text": "London", "probability": 0.8}],
        "q2": [{"text": "", "probability": 0.9}],
        "q3": [{"text": "in May", "probability": 0.7}],
    }
    (folder / "results/qa/eval_nbest_predictions.json").write_text(json.dumps(nbest))
    context = "Bob met Alice in Paris in May ."
    write_lines(
        folder / "data/qa/test.json",
        [
            {"id": "q1", "question": "Where ?", "context": context,
             "answers": {"text": ["Paris"], "answer_start": [context.index("Paris")]}},
            {"id": "q2", "question": "Who left ?", "context": context,
             "answers": {"text": [], "answer_start": []}},
            {"id": "q3", "question": "When ?", "context": context,
             "answers": {"text": ["May"], "answer_start": [context.index("May")]}},
        ],
    )  # fmt: skip
    write_lines(
        folder / "results/summarization/predictions.json",
        [
            {"document": "d", "summary": "a b", "prediction": "a b"},
            {"document": "d", "summary": "a b", "prediction": "x y"},
        ],
    )
    write_lines(
        folder / "results/speech/eval_predictions.json",
        [
            {"path": "1.flac", "text": "at four", "prediction": "at four"},
            {"path": "2.flac", "text": "at five", "prediction": "at nine"},
        ],
    )
    write_lines(
        folder / "results/clm/eval_predictions.json",
        [
            {"text": "He went to", "label": "Paris", "prediction": "Rome", "loss": 2.25},
            {"text": "He went to", "label": "Ghent", "prediction": "Rome", "loss": 7.125},
            {"text": "He went", "label": "to", "prediction": "to", "loss": 9.0},
        ],
    )
    clip = folder / "clip.flac"
    soundfile.write(clip, np.sin(np.arange(1600) / 9), 16000)
    audio = [{"path": name, "bytes": clip.read_bytes()} for name in ("1.flac", "2.flac")]
    (folder / "data/speech").mkdir(parents=True)
    table = pyarrow.table({"audio": audio, "text": ["at four", "at five"]})
    pyarrow.parquet.write_table(table, folder / "data/speech/test.parquet")


def write_state(folder: Path, value: float, losses: list[float]) -> None:
    """Metrics, plots, the lock that records them."""
    params = {
        "tasks": {task: {} for task in TASKS},
        "gates": {task: {"eval_it": {"min": 0.5, "tolerance": 0.1}} for task in TASKS},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    plots = [
        {"loss of training": {"x": "step", "y": {"plots/glue/train.csv": "loss"}}},
        {"it": {"x": "step", "y": {"plots/glue/validation.csv": ["eval_it", "eval_gone"]}}},
    ]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {}, "plots": plots}))
    stages = {}
    for task in TASKS:
        path = folder / f"metrics/{task}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"eval_it": value, "eval_other": 1}))
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        out = {"path": f"metrics/{task}.json", "hash": "md5", "md5": md5}
        stages[f"evaluate@{task}"] = {"cmd": "x", "outs": [out]}
    (folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    (folder / "versions.json").write_text(json.dumps({"jax": f"0.{len(losses)}", "flax": "1"}))
    curve = folder / "plots/glue/train.csv"
    curve.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{step},{loss}\n" for step, loss in enumerate(losses))
    curve.write_text("step,loss\n" + rows)
    (folder / "plots/glue/validation.csv").write_text("step,eval_it\n1,0.5\n2,\n3,0.75\n")


@pytest.fixture
def project(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    git("init", "-q", "-b", "main")
    (tmp_path / ".gitignore").write_text("/results/\n/data/\n/runs/\n/clip.flac\n")
    write_state(tmp_path, 0.9, [3, 2])
    git("add", "-A")
    git("commit", "-q", "-m", "base")
    write_state(tmp_path, 0.75, [3, 2, 1])
    return tmp_path


class Page(HTMLParser):
    """The text of a page, and every address that a browser would ask for."""

    def __init__(self, text: str):
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        names = ("src", "href", "xlink:href", "srcset", "action")
        self.addresses += [value for name, value in attributes if name in names]

    def handle_data(self, data):
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def render(folder: Path, *arguments: str) -> tuple[Page, str]:
    output = folder / "runs/page.html"
    main(["--repo-dir", str(folder), "--output", str(output), *arguments])
    text = output.read_text(encoding="utf-8")
    return Page(text), text


def test_the_whole_page(project, capsys):
    write_results(project)
    page, text = render(project, "--base", "main")
    assert "6 of 6 do not hold" in capsys.readouterr().out
    assert "regressed: 0.75 is more than 0.1 below the base, 0.9" in page.text
    assert "jax 0.2 0.3" in page.text
    assert "eval_it 0.9 0.75 -0.15" in page.text
    # The surest mistake comes first, and text is text.
    assert page.text.index("probability 0.950") < page.text.index("probability 0.750")
    assert "a <b>" in page.text
    assert "<b>" not in text
    assert "Bob O, not B-PER" in page.text
    assert "answer Paris prediction London" in page.text
    assert "ROUGE-1 0.0" in page.text
    assert "word error rate 0.50" in page.text
    first = page.text.index("loss 7.12 nats text He went to label Ghent")
    assert first < page.text.index("loss 2.25 nats")
    assert "9 nats" not in page.text
    assert page.counts["audio"] == 1
    # Two curves and the confusion matrix; a column that the file lacks is an empty plot.
    assert page.counts["svg"] == 4
    assert "No mistakes" not in page.text


def test_it_asks_for_nothing(project):
    write_results(project)
    page, text = render(project, "--base", "main")
    assert page.addresses
    for address in page.addresses:
        assert address.startswith(("#", "data:")), address
    assert not re.search(r"url\((?!#|\"?#)", text)
    assert "@import" not in text
    assert "<script" not in text
    assert len(text.encode()) < 5e6


WRAPPER = """<body><iframe width="400" height="800" src="page.html"></iframe><script>
window.onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  page.querySelectorAll("details").forEach(one => { one.open = true; });
  document.title = `width ${page.documentElement.scrollWidth}`;
};
</script></body>"""


def browse(file: Path) -> subprocess.CompletedProcess:
    """The page's DOM from a browser without a network, and on stderr what its console says."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium or Chrome is here")
    line = [
        browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
        "--enable-logging=stderr", "--allow-file-access-from-files",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={file.parent / 'browser'}",
        file.as_uri(),
    ]  # fmt: skip
    return subprocess.run(line, capture_output=True, text=True, timeout=120)


def test_a_browser_shows_it_on_a_phone_without_a_complaint(project):
    write_results(project)
    render(project, "--base", "main")
    wrapper = project / "runs/wrapper.html"
    wrapper.write_text(WRAPPER)
    shown = browse(wrapper)
    width = re.search("<title>width ([0-9]+)</title>", shown.stdout)
    assert width, shown.stderr
    assert int(width[1]) <= 400  # no scrolling sideways
    assert "CONSOLE" not in shown.stderr
    page = project / "runs/page.html"
    page.write_text(page.read_text().replace("</body>", '<img src="http://a.test/b"></body>'))
    assert "CONSOLE" in browse(wrapper).stderr  # the control: it is refused, and reported


def test_the_same_run_gives_the_same_page(project):
    write_results(project)
    assert render(project)[1] == render(project)[1]


def test_without_a_run_it_shows_what_is_committed(project):
    page, _ = render(project)
    assert "No predictions are here" in page.text
    assert "6 gates hold" in page.text
    assert "base" not in page.text.split("clm")[-1]


def test_times_of_stages(project):
    (project / "runs/glue").mkdir(parents=True)
    (project / "runs/stages.json").write_text(json.dumps({"fetch@glue": 75.0}))
    times = {"train_seconds": 61.4, "tokens_per_second": 4321.5}
    (project / "runs/glue/times.json").write_text(json.dumps(times))
    page, _ = render(project)
    assert "fetch@glue 1:15" in page.text
    assert "train@glue 1:01 4,322 tokens/s" in page.text


def test_predictions_that_are_incomplete(project):
    write_results(project)
    (project / "results/qa/eval_nbest_predictions.json").unlink()
    page, _ = render(project)
    assert "qa: predictions are incomplete" in page.text
    assert "word error rate 0.50" in page.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--base", "nosuch"], "no such revision"), ([], "params.yaml: missing")],
)
def test_what_cannot_be_shown(project, capsys, arguments, said):
    if not arguments:
        (project / "params.yaml").unlink()
    with pytest.raises(SystemExit) as left:
        render(project, *arguments)
    assert left.value.code == 1
    assert said in capsys.readouterr().err


def test_metrics_that_changed_come_first():
    rows = compare({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2.5, "d": 4})
    assert rows == [
        ("b", "2.5", "2", "-0.5"), ("c", "-", "3", ""), ("d", "4", "-", ""), ("a", "1", "1", "+0")
    ]  # fmt: skip


def test_curves_skip_what_is_no_number():
    assert figures.read_curve(b"step,x\n1,2\n2,\n3,4\n", "x") == ([1, 3], [2, 4])
    assert figures.read_curve(b"step,x\n1,2\n", "y") == ([], [])


def test_a_regression_has_no_matrix_and_ranks_by_distance(tmp_path):
    write_lines(
        tmp_path / "eval_predictions.json",
        [
            {"sentence1": "a", "label": 1.0, "prediction": 1.5},
            {"sentence1": "b", "label": 1.0, "prediction": 4.0},
        ],
    )
    found = glue.find_mistakes(tmp_path, tmp_path)
    assert [one.note for one in found] == ["off by 3", "off by 0.5"]


def test_every_known_task_finds_its_mistakes():
    own = {"glue", "ner", "qa", "summarization", "speech"}
    assert own < {*registry.TASKS}
    for task in [*registry.TASKS, "ninth"]:
        general = mistakes_module(task).__name__ == "stages.tasks.mistakes"
        assert general == (task not in own)
    assert mistakes_module("ner").__name__ == "stages.tasks.ner.mistakes"


def test_a_key_of_any_name_and_a_task_nobody_knows(project):
    """`reviews` runs glue; `ninth` is no task of the registry; `odd` cannot be judged."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["tasks"] |= {"reviews": {"task": "glue"}, "ninth": {}, "odd": None}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    write_lines(
        project / "results/reviews/eval_predictions.json",
        [{"sentence1": "bad", "label": "bad", "prediction": "good", "probability": 0.875}],
    )
    write_lines(
        project / "results/ninth/predictions.json",
        [
            {"image": "1.png", "label": 7, "prediction": 1},
            {"image": "2.png", "label": 3, "prediction": 3},
        ],
    )
    write_lines(project / "results/odd/predictions.json", [{"prediction": 1}])
    page, _ = render(project)
    assert "probability 0.875 sentence1 bad label bad prediction good" in page.text
    assert "Worst mistakes (1) image 1.png label 7 prediction 1" in page.text
    assert "No mistakes" not in page.text
    assert page.counts["svg"] == 4  # three plots and the confusion matrix of reviews


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"fLaC", "flac"), (b"OggS", "ogg"), (b"RIFF", "wav"), (b"ID3\x03", "mpeg")],
)
def test_kinds_of_clips(start, kind):
    assert audio_type(start + b"...") == f"audio/{kind}"


def test_the_command(project):
    line = [sys.executable, "-m", "stages.report", "--output", "page.html"]
    ended = subprocess.run(line, cwd=project, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("page.html: 6 gates hold; 0.")


def test_curves_of_further_seeds(tmp_path):
    """Drawn as far as they are there, and named once."""
    for name, loss in (("glue", 3), ("glue-7", 4), ("glue-8", 5)):
        path = tmp_path / f"plots/{name}/train.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"step,loss\n1,{loss}\n")
    plots = [("loss", "plots/glue/train.csv", ["loss"])]
    (found,) = curves_of(tmp_path, None, "glue", plots, [7, 8, 9])
    assert found == ("loss, training", ([1], [3]), None, [([1], [4]), ([1], [5])])
    title, *curves = found
    assert figures.curve(title, *curves).count("further seeds") == 1
    assert "further seeds" not in figures.curve(title, *curves[:2])
