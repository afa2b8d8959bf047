"""The house: what may import what, and what stands where."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
import yaml
from support.paths import ROOT

from stages.core.sources import Sources
from stages.tasks.registry import TASKS

SOURCES = Sources(ROOT)


def test_floors():
    """No import goes up a floor, the strings of `import_module` included, and none in a circle."""
    floors = [
        {"core"},
        {"data", "models", "newsroom", "vocabularies", "gate"},
        {"training"},
        {"generation", "tasks"},
        {"pipeline"},
        {"report", "run"},
        {"tools"},
    ]
    level = {room: number for number, rooms in enumerate(floors) for room in rooms}

    def room(module: str) -> str:
        name = module.split(".")[1]
        return "run" if name.startswith("run_") or name == "predict" else name

    rising, rooms = [], set()
    for path in sorted((ROOT / "stages").rglob("*.py")):
        own = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        if own == "stages.__init__":
            continue
        rooms.add(room(own))
        named = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"stages(\.\w+)+", node.value)
        }
        for name in {*SOURCES.imported_names(path), *named}:
            if SOURCES.module_file(name) is None or name == "stages":
                continue
            if room(name) != room(own) and level[room(name)] >= level[room(own)]:
                rising.append(f"{path.relative_to(ROOT)} imports {name}")
    assert rising == []
    assert rooms == set(level)


def test_modules_import_in_no_circle():
    """Module by module: a package's `__init__` counts only where it is imported by name."""
    needs = {}
    for path in (ROOT / "stages").rglob("*.py"):
        targets = {
            file
            for node in ast.parse(path.read_text()).body
            for name in names_of(node)
            if (file := SOURCES.module_file(name)) and file != path
        }
        needs[path] = targets
    TopologicalSorter(needs).prepare()  # raises CycleError


def names_of(node: ast.stmt) -> set[str]:
    """The most exact module of each import of a statement."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names if alias.name.startswith("stages")}
    if not isinstance(node, ast.ImportFrom) or not node.module.startswith("stages"):
        return set()
    names = {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if SOURCES.module_file(name) else node.module for name in names}


def test_only_the_scripts_and_predict_stand_at_the_top():
    names = {path.name for path in (ROOT / "stages").glob("*.py")}
    scripts = {f"{task.script}.py" for task in TASKS.values()}
    assert names == {"__init__.py", "predict.py", *scripts}
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 250
    assert yaml.safe_load((ROOT / "dvc.yaml").read_text())["vars"] == ["tasks.yaml", "seeds.yaml"]


def test_a_run_without_a_stream_imports_no_file_systems():
    code = (
        "import sys, stages.training.session; "
        "print({'fsspec', 'pyarrow.parquet', 'pandas', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "module",
    ["data.encode", "tasks.qa.windows", "tasks.ner.windows", "tasks.summarization.tokens",
     "tasks.text.tokens", "tasks.mlm.rows", "tasks.speech.rows"],
)  # fmt: skip
def test_processes_that_make_tokens_import_little(module):
    code = (
        f"import sys, stages.{module}; "
        "print({'jax', 'transformers', 'pandas', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
