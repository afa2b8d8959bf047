"""`make bench-data`: its memory sampler, its made-up rows, its page, and tiny runs of its parts."""

import ast
import itertools
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.paths import ROOT
from tokenizers import Tokenizer

from stages.core.errors import InputError
from stages.pipeline.make_tokenizer import read_entry
from stages.tools.scale import __main__ as scale
from stages.tools.scale import metric, models, page, parts, processes, rows

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")

RUN = {
    "date": "2026-01-02",
    "processor": "Z80",
    "cores": 1,
    "memory_gb": 4,
    "python": "3.12.1",
    "versions": {"jax": "1.2.3"},
}
# Holds 50 MB for a moment, itself and in a child.
HOLDER = """
import subprocess, sys, time
if sys.argv[1] == "above":
    held = bytearray(0)
    child = subprocess.Popen([sys.executable, "-c", sys.argv[2], "below", sys.argv[2]])
    print("begun", flush=True)
    sys.exit(child.wait())
held = bytearray(50_000_000)
time.sleep(0.6)
"""


def held(where: str) -> processes.Usage:
    words = [sys.executable, "-c", HOLDER, where, HOLDER]
    return processes.measure(words, os.environ)


def test_memory_of_a_child_and_of_a_grandchild_counts():
    least = processes.measure([sys.executable, "-c", "import time; time.sleep(0.3)"], os.environ)
    assert 1 < least.peak_mb < 45
    assert 50 < held("itself").peak_mb < 50 + 45
    # Two interpreters.
    assert 50 + least.peak_mb * 0.5 < held("above").peak_mb < 50 + 90


def test_memory_that_maps_a_file_does_not_count(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(50_000_000))
    code = (
        f"import mmap, time; file = open({str(path)!r}, 'rb'); "
        "held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ); "
        "sum(held[::4096]); time.sleep(0.5)"
    )
    usage = processes.measure([sys.executable, "-c", code], os.environ)
    assert usage.peak_mb < 45


def test_time_of_a_line():
    code = "import time; print('begin'); print('step 1/5', flush=True); time.sleep(0.5)"
    usage = processes.measure([sys.executable, "-c", code], os.environ, until="step 1/")
    assert 0 < usage.reached < usage.seconds - 0.3
    assert usage.lines == ["begin", "step 1/5"]


def test_a_failing_command_shows_its_last_lines(capfd):
    code = "print('first'); print('last'); raise SystemExit(3)"
    with pytest.raises(InputError, match="ended with status 3"):
        processes.measure([sys.executable, "-c", code], os.environ)
    assert capfd.readouterr().err == "first\nlast\n"


def test_nothing_is_left_running(tmp_path):
    late = f"import time, pathlib; time.sleep(1); pathlib.Path({str(tmp_path / 'late')!r}).touch()"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {late!r}])"
    processes.measure([sys.executable, "-c", code], os.environ)
    time.sleep(1.5)
    assert list(tmp_path.iterdir()) == []


def test_other_systems_are_refused(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "VmRSS: 1 kB")
    with pytest.raises(InputError, match="only Linux"):
        processes.check_system()


@pytest.mark.parametrize("task", [*rows.ROWS])
def test_rows_are_distinct_and_repeat_from_the_seed(task):
    make, _ = rows.ROWS[task]
    made = [json.dumps(row) for row in rows.made(make, 300, "seed")]
    assert len(set(made)) == 300
    assert made == [json.dumps(row) for row in rows.made(make, 300, "seed")]
    assert made[:20] != [json.dumps(row) for row in rows.made(make, 20, "other")]


def test_rows_have_the_lengths_they_say():
    rng = random.Random(0)
    for row in range(200):
        pair, tagged = rows.pair(rng, row), rows.sentence(rng, row)
        assert all(6 <= len(pair[name].split()) <= 14 for name in ("sentence1", "sentence2"))
        assert 5 <= len(tagged["tokens"]) == len(tagged["ner_tags"]) <= 20
        asked = rows.question(rng, row)
        assert 40 <= len(asked["context"].split()) <= 80
        (start,), (answer,) = asked["answers"]["answer_start"], asked["answers"]["text"]
        assert asked["context"][start:].startswith(answer)
        assert 12 <= len(rows.document(rng, row)["text"].split()) <= 28
        assert "<extra_id_0>" in rows.gapped(rng, row)["text"]
        story = rows.story(rng, row)
        assert [len(story[name].split()) for name in ("document", "summary")] == [40, 8]


def test_the_longest_row_is_the_first():
    for make, longest in ((rows.document, 28), (rows.gapped, 28)):
        first, *others = (len(row["text"].split()) for row in rows.made(make, 50, "seed"))
        assert first == longest >= max(others)
    first, *others = (len(row["tokens"]) for row in rows.made(rows.sentence, 50, "seed"))
    assert first == 20 >= max(others)


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", models.EMBEDDED])
def test_a_word_is_a_token(family, tmp_path):
    models.make_model(tmp_path, family)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = " ".join(["", *rows.WORDS])
    tokens = len(tokenizer.encode(text, add_special_tokens=False).ids)
    assert len(rows.WORDS) <= tokens <= (1.2 if family == models.EMBEDDED else 1) * len(rows.WORDS)
    config = json.loads((tmp_path / "config.json").read_text())
    embedded = read_entry(models.EMBEDDED, str(ROOT / "params.yaml")).config["hidden_size"]
    assert (config.get("hidden_size") == embedded) == (family == models.EMBEDDED)


def test_every_metric_is_fed():
    classes = {
        node.name
        for path in (ROOT / "stages" / "tasks").glob("*/metric.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "LocalMetric" for base in node.bases)
    }
    made = {type(case.make()).__name__ for case in metric.CASES.values()}
    assert made == classes


def test_metrics_read_their_file_row_by_row(tmp_path):
    path = rows.write_rows(tmp_path / "ner-3.json", metric.result_row("ner"), 3)
    references = list(metric.read_column(str(path), "reference"))
    assert len(references) == 3
    assert isinstance(references[0][0], str)
    # The whole file may be far larger than memory.
    with path.open("a") as file:
        file.write("no JSON\n")
    assert len(list(itertools.islice(metric.read_column(str(path), "prediction"), 3))) == 3


def peaks(*given: tuple[int, float], **more) -> list[dict]:
    return [{"rows": size, "seconds": 1.25, "peak_mb": peak, **more} for size, peak in given]


def test_page_shows_growth_and_where_it_was_measured(tmp_path):
    figures = page.read_figures(tmp_path / "scale.json")
    page.add_figures(figures, RUN, "fetch", "glue", peaks((10, 100.4), (1_000_000, 350.4)))
    starts = [
        *peaks((10, 200), start="first", to_step_1=0.75),
        *peaks((10, 150), start="second", to_step_1=0.5),
        *peaks((1000, 190), start="second", to_step_1=0.5),
    ]
    page.add_figures(figures, RUN, "train", "qa", starts)
    page.write_page(figures, tmp_path / "scale.md")
    text = (tmp_path / "scale.md").read_text()
    assert "Measured on 2026-01-02: Z80, 1 cores, 4 GB of memory; Python 3.12.1, jax 1.2.3." in text
    assert "| glue | 10 | 1.2 | 100 |  |\n| glue | 1,000,000 | 1.2 | 350 | +250 |" in text
    assert "| qa | 1,000 | second | 1.2 | 0.5 | 190 | +40 |" in text
    assert "## Evaluation" not in text
    assert page.read_figures(tmp_path / "scale.json") == figures


def test_page_keeps_other_figures_and_says_which_run_they_are_of(tmp_path):
    figures = page.read_figures(tmp_path / "scale.json")
    later = {**RUN, "date": "2026-02-03", "note": "Tests ran beside it."}
    for task in ("glue", "ner"):
        page.add_figures(figures, RUN, "fetch", task, peaks((10, 100)))
    page.add_figures(figures, later, "fetch", "glue", peaks((20, 300)))
    page.write_page(figures, tmp_path / "scale.md")
    text = (tmp_path / "scale.md").read_text()
    assert "| glue | 20 | 1.2 | 300 |  | 2 |\n| ner | 10 | 1.2 | 100 |  | 1 |" in text
    assert "1. 2026-01-02: Z80" in text
    assert re.search("^2. 2026-02-03: Z80, .*, jax 1.2.3. Tests ran beside it.$", text, re.M)
    # Nothing is left of the first run.
    page.add_figures(figures, later, "fetch", "ner", peaks((20, 300)))
    assert figures["runs"] == [later]
    assert {record["run"] for record in figures["parts"]["fetch"].values()} == {0}


def test_page_shows_speeds_waits_and_growth(tmp_path):
    figures = page.read_figures(tmp_path / "scale.json")
    speeds = {"seconds": [2.0, 3.0], "rows_per_second": 1234.5, "ratio": 1.25, "peak_mb": 80.0}
    page.add_figures(
        figures, RUN, "throughput", "glue", [{"rows": 3000, "side": "flaxmill", **speeds}]
    )
    waited = {"loop_seconds": 4.0, "wait_seconds": 0.05, "share": 0.0125}
    page.add_figures(figures, RUN, "waits", "mlm", [{"rows": 3000, "steps": 200, **waited}])
    grown = {
        f"{name}_{unit}": 7.0 for name in ("fetch", "first", "second") for unit in ("seconds", "mb")
    }
    page.add_figures(figures, RUN, "growth", "clm", [{"rows": 10_000_000, **grown}])
    page.write_page(figures, tmp_path / "scale.md")
    text = (tmp_path / "scale.md").read_text()
    assert "| glue | 3,000 | flaxmill | 2.0, 3.0 | 1,234 | 1.25 | 80 |" in text
    assert "| mlm | 3,000 | 200 | 4.00 | 0.050 | 1.2 % |" in text
    assert "| clm | 10,000,000 | 7.0 | 7.0 | 7.0 | 7 | 7 | 7 |" in text


def test_every_part_has_a_section():
    assert list(page.SECTIONS) == list(parts.PARTS)


@pytest.mark.parametrize("content", ["[]", "{", '{"runs": [], "parts": {"other": {}}}'])
def test_other_figures_are_refused(tmp_path, content):
    (tmp_path / "scale.json").write_text(content)
    with pytest.raises(InputError, match=r"scale\.json: .*; remove it"):
        page.read_figures(tmp_path / "scale.json")


def call(monkeypatch, folder: Path, *words) -> Path:
    """Run the tool; the page that it wrote."""
    output = folder / "scale.md"
    monkeypatch.setattr(
        sys, "argv", ["scale", *map(str, words), f"--output={output}", f"--work={folder}"]
    )
    scale.main()
    return output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tasks", "glue", "gleu"], "--tasks: unknown 'gleu'; expected some of glue, ner"),
        (["--parts", "trian"], "--parts: unknown 'trian'; expected some of fetch, train"),
        (["--parts", "trian"], "did you mean 'train'?"),
    ],
)
def test_unknown_names_are_refused(monkeypatch, tmp_path, capsys, words, message):
    with pytest.raises(SystemExit, match="1"):
        call(monkeypatch, tmp_path, *words)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["0", "-5", "many"])
def test_sizes_are_numbers(monkeypatch, tmp_path, given):
    with pytest.raises(SystemExit, match="2"):
        call(monkeypatch, tmp_path, "--sizes", given)


def test_fetch_at_two_sizes(monkeypatch, tmp_path, capsys):
    output = call(monkeypatch, tmp_path, "--tasks", "ner", "--parts", "fetch", "--sizes", 40, 20)
    text = output.read_text()
    assert "| ner | 20 | " in text
    assert "| ner | 40 | " in text
    assert "fetch ner, 40 rows: " in capsys.readouterr().out
    # No made-up file is left.
    assert {path.name for path in tmp_path.iterdir()} == {"scale.md", "scale.json"}


def test_a_failure_ends_it_and_keeps_what_was_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(rows.ROWS, "ner", (lambda rng, row: {"tokens": 1}, ".json"))
    with pytest.raises(SystemExit, match="1"):
        call(monkeypatch, tmp_path, "--tasks", "glue", "ner", "--parts", "fetch", "--sizes", 20)
    assert "stages.pipeline.fetch" in capsys.readouterr().err
    assert "| glue | 20 | " in (tmp_path / "scale.md").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"scale.md", "scale.json"}


def figures_of(output: Path) -> dict:
    return json.loads(output.with_suffix(".json").read_text())["parts"]


# More rows than a batch has.
SMALL = (
    "--sizes", 80, 120, "--eval_sizes", 20, 40, "--generate_sizes", 20, 40, "--clip_sizes", 36, 40,
    "--growth", 100, 120, "--metric_sizes", 20, 40, "--wait_steps", 10,
)  # fmt: skip


def test_a_signal_ends_it_where_a_shell_ignores_ctrl_c(tmp_path):
    words = ["--work", tmp_path / "work", "--output", tmp_path / "scale.md"]
    command = [sys.executable, "-m", "stages.tools.scale", "--parts", "fetch", "--tasks", "mlm"]
    run = subprocess.Popen(
        ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command, *words],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "work").glob("*/mlm")):
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.terminate()
        assert run.wait(60) == 130
    finally:
        run.kill()
        run.wait()
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize("task", ["glue", "ner", "qa", "mlm", "t5_mlm", "summarization"])
def test_training_evaluation_and_generation(monkeypatch, tmp_path, task):
    chosen = ("--parts", "train", "evaluate", "generate", "throughput", "waits", "encoder")
    found = figures_of(call(monkeypatch, tmp_path, *SMALL, "--tasks", task, *chosen))
    starts = [(row["rows"], row["start"]) for row in found["train"][task]["rows"]]
    assert starts == [(80, "first"), (80, "second"), (120, "first"), (120, "second")]
    assert all(0 < row["to_step_1"] < row["seconds"] for row in found["train"][task]["rows"])
    assert [row["rows"] for row in found["evaluate"][task]["rows"]] == [20, 40]
    assert ("generate" in found) == (task in ("t5_mlm", "summarization"))
    assert 0 <= found["waits"][task]["rows"][0]["share"] < 1
    assert ("throughput" in found) == ("encoder" in found) == (task == "glue")


@pytest.mark.slow(seconds=60)
def test_text_and_its_growth(monkeypatch, tmp_path):
    chosen = ("--parts", "generate", "growth")
    found = figures_of(call(monkeypatch, tmp_path, *SMALL, "--tasks", "clm", *chosen))
    assert [row["rows"] for row in found["growth"]["clm"]["rows"]] == [100, 120]
    assert [row["rows"] for row in found["generate"]["clm"]["rows"]] == [20, 40]


@pytest.mark.slow(seconds=40)
def test_speech(monkeypatch, tmp_path):
    found = figures_of(
        call(monkeypatch, tmp_path, *SMALL, "--tasks", "speech", "--parts", "speech")
    )
    assert set(found["speech"]) == {"fetch", "train, first start", "train, second start"}


@pytest.mark.slow(seconds=60)
def test_metrics(monkeypatch, tmp_path):
    found = figures_of(call(monkeypatch, tmp_path, *SMALL, "--parts", "metrics"))
    assert set(found["metrics"]) == set(metric.CASES)
