"""The project's own modules as text."""

from stages.core.sources import Sources


def test_a_file_beside_the_project_is_none_of_its_modules(tmp_path):
    """The parent of `stages` is no module, though `project.py` lies beside the folder `project`."""
    root = tmp_path / "project"
    (root / "stages").mkdir(parents=True)
    (root / "stages/__init__.py").write_text("")
    (root / "stages/one.py").write_text("import stages\n")
    (tmp_path / "project.py").write_text("")
    assert set(Sources(root).digests(["stages.one"])) == {"stages/__init__.py", "stages/one.py"}
