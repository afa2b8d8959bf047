"""`stages.pipeline.code`: what each command is made of, and which stages a change runs."""

import ast
import json
import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from support import scripts
from support.paths import ROOT

from stages.core.errors import InputError
from stages.core.sources import Sources
from stages.core.syntax import canonical
from stages.pipeline import code
from stages.pipeline.code import commands
from stages.pipeline.model_types import family_modules
from stages.tasks.registry import TASKS

SOURCES = Sources(ROOT)
# The model that a task runs on in the pipeline.
FAMILY = {"clm": "gpt2", "t5_mlm": "t5", "summarization": "t5", "speech": "whisper"}


def same(one: str, other: str) -> bool:
    """Whether two texts of a module have the same digest."""
    return canonical(ast.parse(one)) == canonical(ast.parse(other))


# Digests


@pytest.mark.parametrize(
    "other",
    [
        'def f(a):\n    return f"{a:>{3}} b"\n',
        '"""Says more."""\ndef f(a):\n    """Twice."""\n    return f"{a:>{3}} b"  # why\n',
        "def f( a ) :\n\n    return (f'''{a:>{3}} b''')\n",
        'def f(a):\n    return f"{a:>{3}}" u" b"\n',
    ],
)
def test_comments_docstrings_and_layout_do_not_count(other):
    assert same('"""A module."""\n\n\ndef f(a):\n    return f"{a:>{3}} b"\n', other)


@pytest.mark.parametrize(
    "other",
    [
        "def f(a):\n    return a + 2\n",
        "def f(a):\n    return a + 1.0\n",
        "def f(a):\n    return a - 1\n",
        "def f(b):\n    return b + 1\n",
        "def f(a=None):\n    return a + 1\n",
        "def f(a):\n    a\n    return a + 1\n",
        "def f(a):\n    return a + 1\nf('x')\n",
        'def f(a):\n    "first is a docstring"\n    "second is not"\n    return a + 1\n',
        "async def f(a):\n    return a + 1\n",
    ],
)
def test_everything_else_counts(other):
    assert not same("def f(a):\n    return a + 1\n", other)


def test_a_constant_is_told_from_none_and_from_its_text():
    texts = [
        "x = None",
        "x = 'None'",
        "x = 0",
        "x = False",
        "x = ''",
        "x = b''",
        "x = ...",
        "x = []",
    ]
    assert len({canonical(ast.parse(text)) for text in texts}) == len(texts)


EXPECTED = (
    "Module(body=[Import(names=[alias(name='os',asname='system')]),AsyncFunctionDef(name='f',"
    "args=arguments(posonlyargs=[arg(arg='a',annotation=Name(id='int',ctx=Load()))],vararg=ar"
    "g(arg='b'),kwonlyargs=[arg(arg='c')],kw_defaults=[Constant(value=None)],kwarg=arg(arg='d"
    "')),body=[Return(value=JoinedStr(values=[FormattedValue(value=Name(id='a',ctx=Load()),co"
    "nversion=114,format_spec=JoinedStr(values=[Constant(value='>'),FormattedValue(value=Name"
    "(id='c',ctx=Load()),conversion=-1)])),Constant(value=' {b}'),FormattedValue(value=Subscr"
    "ipt(value=Name(id='d',ctx=Load()),slice=Constant(value='x'),ctx=Load()),conversion=-1)])"
    ")],returns=Name(id='str',ctx=Load()))])"
)


def test_the_text_of_a_tree_as_it_stands():
    """Literally, so that each Python that runs the tests is held to the others."""
    source = (
        '"""Module."""\n'
        "import os as system\n"
        "async def f(a: int, /, *b, c=None, **d) -> str:\n"
        '    """Docstring."""\n'
        "    return f'{a!r:>{c}} {{b}}' f\"{d['x']}\"\n"
    )
    assert canonical(ast.parse(source)) == EXPECTED


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_python_gives_the_same(version):
    """All modules of the project, by the interpreters that are here."""
    python = shutil.which(f"python{version}")
    works = python and subprocess.run([python, "--version"], capture_output=True, check=False)
    if not works or works.returncode:
        pytest.skip(f"no python{version}")
    program = (
        "import ast, hashlib, pathlib\n"
        "from stages.core.syntax import canonical\n"
        "for path in sorted(pathlib.Path('stages').rglob('*.py')):\n"
        "    text = canonical(ast.parse(path.read_bytes()))\n"
        "    print(path, hashlib.sha256(text.encode()).hexdigest()[:16])\n"
    )
    shown = subprocess.run(
        [python, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    found = dict(line.split() for line in shown.splitlines())
    assert len(found) > 100
    assert found == {path: SOURCES.digest(ROOT / path) for path in found}


# What is imported


@pytest.fixture(scope="module")
def closures():
    """{command: the files it imports} of the project's pipeline."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        unrolled = code.read_unrolled()
    return {
        name: {path.relative_to(ROOT).as_posix() for path in SOURCES.import_closure(modules)}
        for name, modules in commands(unrolled, SOURCES).items()
    }


def test_the_walk_sees_packages_nested_imports_and_data_files(closures):
    train = closures["train/qa"]
    assert {"stages/__init__.py", "stages/core/__init__.py", "stages/run_qa.py"} <= train
    assert {"stages/models/families.json", "stages/training/loop.py"} <= train
    # `from stages import models` stands within a function.
    assert "stages/models/layers.py" in train
    assert "stages/newsroom/__main__.py" in closures["newsroom"]
    with pytest.raises(InputError, match=r"^stages\.nothing: no such module; a stage"):
        SOURCES.import_closure(["stages.nothing"])


def test_every_command_has_a_file(closures):
    kinds = ("fetch", "train", "baseline")
    assert set(closures) == {
        "versions", "newsroom", "newsroom-speech", "spread",
        *(f"{kind}/{task}" for kind in kinds for task in TASKS),
        *(f"tokenizer/{name}" for name in ("encoder", "gpt2", "t5", "whisper")),
    }  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_modules_that_are_loaded_by_name_are_in(task, closures):
    form = TASKS[task].form or task
    assert f"stages/tasks/{form}/convert.py" in closures[f"fetch/{task}"]
    assert f"stages/tasks/{task}/baseline.py" in closures[f"baseline/{task}"]
    family = FAMILY.get(task, "bert")
    own = {name for name in closures[f"train/{task}"] if name.startswith(f"stages/models/{family}")}
    assert own
    for other in {*family_modules().values()} - {f"stages.models.{family}"}:
        path = other.replace(".", "/")
        assert not {name for name in closures[f"train/{task}"] if name.startswith(path)}


@pytest.mark.parametrize("kind", ["fetch", "train", "baseline"])
@pytest.mark.parametrize("task", TASKS)
def test_a_command_imports_nothing_of_another_task(kind, task, closures):
    folders = {f"stages/tasks/{other}/" for other in TASKS if other != task}
    assert not {name for name in closures[f"{kind}/{task}"] if name.startswith(tuple(folders))}
    assert not {name for name in closures[f"{kind}/{task}"] if "/report/" in name}


def test_a_baseline_and_the_newsroom_read_no_settings_of_a_task(closures):
    """So that another bound of a learning rate does not run them again."""
    for name, files in closures.items():
        if name.startswith(("baseline", "newsroom", "tokenizer")):
            settings = [file for file in files if fnmatch(file, "stages/training/*arguments.py")]
            assert settings == [], name


@pytest.mark.parametrize(
    ("file", "tasks"),
    [
        ("stages/tasks/qa/answers.py", {"qa"}),
        ("stages/tasks/qa/windows.py", {"qa"}),
        ("stages/run_qa.py", {"qa"}),
        ("stages/tasks/mlm/rows.py", {"mlm"}),
        ("stages/training/step.py", set(TASKS)),
        ("stages/models/bert/model.py", {"mlm", "glue", "ner", "qa"}),
        ("stages/models/bert/init_neighbours.py", {"mlm", "glue", "ner", "qa"}),
        ("stages/generation/__init__.py", {"clm", "t5_mlm", "summarization", "speech"}),
    ],
)
def test_a_module_is_in_the_commands_that_import_it(file, tasks, closures):
    assert (ROOT / file).is_file()
    hit = {name.partition("/")[2] for name, files in closures.items() if file in files}
    assert hit == tasks


def test_the_committed_files_are_those_of_the_sources(closures):
    """As `dvc repro` would write them: else the next run would find every stage stale."""
    found = {
        path.relative_to(ROOT / "code").with_suffix("").as_posix(): json.loads(path.read_text())
        for path in (ROOT / "code").rglob("*.json")
    }
    wanted = {
        name: {file: SOURCES.digest(ROOT / file) for file in sorted(files)}
        for name, files in closures.items()
    }
    assert found == wanted


# The command


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the sources, to edit them and call the command in."""
    shutil.copytree(
        ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "tasks.yaml", tmp_path)
    shutil.copytree(ROOT / "code", tmp_path / "code")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code, "ROOT", tmp_path)
    return tmp_path


def written() -> set[str]:
    """The files that the command writes now, by name."""
    lines = scripts.call("pipeline.code").splitlines()
    return {line.removesuffix(": written").removeprefix("code/") for line in lines}


def test_a_docstring_or_a_comment_changes_no_file(project):
    layers = project / "stages/models/layers.py"
    layers.write_text(
        '"""Said otherwise."""\n' + layers.read_text().partition('"""\n')[2] + "# x\n"
    )
    before = scripts.tree(project / "code")
    assert written() == set()
    assert scripts.tree(project / "code") == before


def test_a_constant_of_a_task_changes_the_files_of_its_commands(project):
    (project / "stages/tasks/qa/answers.py").open("a").write("FURTHER = 1\n")
    assert written() == {"train/qa.json"}
    (project / "stages/tasks/qa/baseline.py").open("a").write("FURTHER = 1\n")
    assert written() == {"baseline/qa.json"}


def test_a_shared_function_changes_the_files_of_all_that_import_it(project):
    (project / "stages/training/losses.py").open("a").write("FURTHER = 1\n")
    assert written() == {f"train/{task}.json" for task in TASKS}


def test_a_data_file_counts_by_its_bytes(project):
    (project / "stages/newsroom/speech/words.txt").write_text("one\n")
    assert written() == {"newsroom-speech.json"}
    (project / "stages/newsroom/speech/.words.txt.swp").write_text("half\n")
    (project / "stages/newsroom/speech/words.txt").write_text("two\n")
    assert written() == {"newsroom-speech.json"}


def test_a_syntax_error_leaves_the_files(project):
    (project / "stages/tasks/ner/windows.py").open("a").write("def (\n")
    before = scripts.tree(project / "code")
    line = scripts.refused("pipeline.code")
    assert "stages/tasks/ner/windows.py, line " in line
    assert line.endswith("`code` is left as it was")
    assert scripts.tree(project / "code") == before


def test_a_relative_import_is_refused(project):
    (project / "stages/tasks/ner/windows.py").open("a").write("from . import metric\n")
    assert "a relative import; write the module's full name" in scripts.refused("pipeline.code")


def test_a_file_of_no_command_goes(project):
    (project / "code/train/old.json").write_text("{}\n")
    (project / "code/gone").mkdir()
    (project / "code/gone/old.json").write_text("{}\n")
    assert written() == set()
    assert not (project / "code/train/old.json").exists()
    assert not (project / "code/gone").exists()


# The guard


def run_as(stage: str, folder: Path, program: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "DVC_STAGE": stage, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_module_that_the_file_does_not_list_stops_the_stage(tmp_path):
    listed = json.loads((ROOT / "code/train/qa.json").read_text())
    del listed["stages/tasks/qa/answers.py"]
    path = tmp_path / "code/train/qa.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(listed))
    for stage in ("train@qa", "evaluate@qa", "train-seed@qa-7", "evaluate-seed@qa-7"):
        stopped = run_as(stage, tmp_path, "import stages.tasks.qa.answers")
        assert stopped.returncode == 1
        assert stopped.stderr.startswith(
            "error: code/train/qa.json does not list stages.tasks.qa.answers, which this stage "
            "imports; run `dvc repro code`"
        )
        assert "Traceback" not in stopped.stderr
    # Without DVC, or as a stage without a file, nothing is held to anything.
    for stage in ("", "mine", "train@glue"):
        assert run_as(stage, tmp_path, "import stages.core.versions").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_what_a_script_imports_is_listed(task):
    """As a whole: its models and what its functions import, by name or not."""
    family = family_modules()[FAMILY.get(task, "bert")]
    program = f"import stages.{TASKS[task].script}, {family}"
    done = run_as(f"train@{task}", ROOT, program)
    assert done.returncode == 0, done.stderr
