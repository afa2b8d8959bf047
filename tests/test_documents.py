"""What README, CONTRIBUTING and docs/ name exists, and their figures are those of the run."""

import re
import textwrap
import tomllib
from collections.abc import Iterator

import pytest
from support import results_tables
from support.paths import ROOT

from stages.core.params import parse_params, task_of, task_values
from stages.core.schema import build_section
from stages.gate.schema import LOOSENED, parse_gates
from stages.pipeline.fetch_checkpoint import Checkpoint
from stages.tasks.registry import TASKS, arguments_class, load_part

HAND_WRITTEN = ("README.md", "CONTRIBUTING.md")
PAGES = (*HAND_WRITTEN, *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
README_WORDS = 900
IMAGES = 300 * 1024
# What a first folder must be for a name in code to be a path of the repository.
FOLDERS = ("stages", "tests", "docs", "profiles", ".ci", ".github", "plots", "metrics", "code")
# Files that the text makes up, and folders that a run makes.
MADE_UP = re.compile(r"TASK|NAME|toy|metrics/(reviews|seeds)|profiles/(NAME|reviews)")
MADE_UP_TASKS = ("toy",)
COMMENT = re.compile(r"<!--.*?-->", re.S)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]*)\)")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code_in(page: str) -> Iterator[str]:
    """Each span and each block of code."""
    text = text_of(page)
    blocks = re.compile(r"^ *```.*?^ *```", re.S | re.M)
    yield from blocks.findall(text)
    yield from re.findall(r"`([^`\n]+)`", blocks.sub("", text))


def words(text: str) -> list[str]:
    """What a reader sees: without comments and addresses of links, with code and tables."""
    shown = LINK.sub(lambda found: "" if found[1] else found[2], COMMENT.sub("", text))
    return [word for word in re.split(r"[\s|]+", shown) if re.search(r"\w", word)]


def test_words_are_those_that_are_shown():
    assert words("<!-- no -->\n| a | [b c](docs/x.md) |\n| --- | --- |\n## `d e`\n![f](g)") == [
        "a", "b", "c", "`d", "e`"
    ]  # fmt: skip


def test_the_readme_is_short():
    assert len(words(text_of("README.md"))) <= README_WORDS


def test_images_are_small():
    images = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".png", ".svg")]
    assert sum(path.stat().st_size for path in images) < IMAGES


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    for _, _, target in LINK.findall(text_of(page)):
        if not re.match(r"https?:|#", target):
            path = (ROOT / page).parent / target.partition("#")[0]
            assert path.exists(), f"{page}: {target}"


def test_every_page_is_linked_from_the_readme():
    linked = {target for _, _, target in LINK.findall(text_of("README.md"))}
    assert {page for page in PAGES if page.startswith("docs/")} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_code_exist(page):
    name = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*-]*")
    for code in code_in(page):
        for path in name.findall(code):
            found = any(ROOT.glob(path.rstrip("/.")))
            assert found or MADE_UP.search(path), f"{page}: {path}"


def test_the_tree_of_the_readme_names_every_folder_of_stages():
    (tree,) = (code for code in code_in("README.md") if "stages/core/" in code)
    named = set(re.findall(r"^stages/(\w+)/", tree, re.M))
    folders = {path.parent.name for path in (ROOT / "stages").glob("*/__init__.py")}
    assert named == folders


def test_the_table_of_tasks_is_the_registry():
    rows = re.findall(r"^\| `(\w+)`[^|]*\| `(run_\w+)` \|", text_of("README.md"), re.M)
    assert dict(rows) == {name: task.script for name, task in TASKS.items()}


def test_the_newest_release_in_the_changelog_is_the_version():
    headings = re.findall(r"^## (.*)$", text_of("CHANGELOG.md"), re.M)
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", headings[1])


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page):
    """Targets of make, and modules behind `python -m`."""
    targets = set(re.findall(r"^([a-z0-9-]+):", text_of("Makefile"), re.M))
    for code in code_in(page):
        for target in re.findall(r"(?:^|[^\w-])make ([a-z][a-z0-9-]*)", code):
            assert target in targets, f"{page}: make {target}"
        for module in re.findall(r"python -m (stages[\w.]*)", code):
            base = ROOT.joinpath(*module.rstrip(".").split("."))
            there = base.with_suffix(".py").is_file() or (base / "__main__.py").is_file()
            assert there, f"{page}: python -m {module}"


@pytest.mark.parametrize("page", PAGES)
def test_yaml_examples_have_keys_that_the_pipeline_knows(page):
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```", text_of(page), re.S | re.M):
        example = parse_params(textwrap.dedent(block).encode(), page)
        for name in example.get("tasks", {}):
            if name in MADE_UP_TASKS:
                continue
            task = task_of(example, name, list(TASKS), page)
            values = task_values(arguments_class(task), example, f"tasks.{name}", page)
            assert "model_name_or_path" in values
            source = example["tasks"][name]["data"]
            assert build_section(load_part(task, "convert").Source, source, page).source
        for entry in example.get("checkpoints", {}).values():
            build_section(Checkpoint, entry, page)
        gates = example.get("gates", {})
        tasks = {name: {} for name in gates if name != LOOSENED}
        if tasks:
            assert parse_gates({**example, "tasks": tasks}).bad == []


@pytest.mark.parametrize("page", results_tables.PAGES)
def test_tables_of_results_are_those_of_the_metrics(page):
    written = results_tables.with_tables(text_of(page))
    assert results_tables.BLOCK.search(written), f"{page}: no table of results"
    stale = [
        f"{page}: {old!r} should be {new!r}; run `python tests/support/results_tables.py`"
        for old, new in zip(text_of(page).splitlines(), written.splitlines(), strict=True)
        if old != new
    ]
    assert stale == []
