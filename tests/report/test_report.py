"""The page of a run: what it shows, and that it needs nothing but itself."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.made_up_run import render, write_results


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


def test_parameters_data_and_simple_methods(project):
    """What changed, by key and by sum; and a model that is no better than a simple method."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    entry = lock["stages"]["evaluate@glue"]
    for rate, md5 in ((0.1, "0123456789abcdef" * 2), (0.2, "fedcba9876543210" * 2)):
        params["tasks"]["glue"] = {"learning_rate": rate}
        entry["deps"] = [{"path": "data/glue/test.csv", "md5": md5}]
        (project / "params.yaml").write_text(yaml.safe_dump(params))
        (project / "dvc.lock").write_text(yaml.safe_dump(lock))
        if rate == 0.1:
            subprocess.run(["git", "add", "-A"], cwd=project, check=True)
            identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
            line = ["git", *identity, "commit", "-q", "-m", "base"]
            subprocess.run(line, cwd=project, check=True)
    (project / "metrics/baselines").mkdir()
    (project / "metrics/baselines/glue.json").write_text('{"usual_it": 0.8, "other_it": 0.1}')
    page, _ = render(project, "--base", "main")
    assert "parameter base now tasks.glue.learning_rate 0.1 0.2 clm" in page.text
    assert "data/glue/test.csv 0123456789 fedcba9876" in page.text
    assert "glue 0123456789 fedcba9876 data changed, not compared" in page.text
    assert "warning: glue: eval_it 0.75 is no better than the baseline 0.8 (usual)" in page.text
    assert "metric baseline base now change" in page.text
    assert "eval_it 0.8 (usual) 0.75 0.75" in page.text
    page, _ = render(project)
    assert "Parameters that changed" not in page.text
    assert "data/glue/test.csv fedcba9876" in page.text


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


def test_the_command(project):
    line = [sys.executable, "-m", "stages.report", "--output", "page.html"]
    ended = subprocess.run(line, cwd=project, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("page.html: 6 gates hold; 0.")
