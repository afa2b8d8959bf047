"""A cache shared by several clones, on an S3-compatible loopback server (`make remote-test`)."""

import logging
import shutil
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT
from support.repository import Repository

pytestmark = [pytest.mark.remote, pytest.mark.slow]
# What these quick stages of the default pipeline need. Each writes a cached folder, the last one a
# metric that is in Git and not in DVC's cache.
FILES = (
    "dvc.yaml",
    "params.yaml",
    "seeds.yaml",
    "tasks.yaml",
    "code",
    ".dvcignore",
    ".gitignore",
    ".dvc/config",
    "stages",
)
STAGES = ("check", "code", "newsroom", "fetch@glue", "baseline@glue")
METRIC = "metrics/baselines/glue.json"


@pytest.fixture
def server():
    """The address of a server with the bucket `shared`, which stops with the test or pytest."""
    pytest.importorskip("dvc_s3", reason="make remote-test installs dvc-s3")
    moto = pytest.importorskip("moto.server", reason="make remote-test installs moto")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # not a line for each request
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    address = "http://{}:{}".format(*running.get_host_and_port())
    try:
        request = urllib.request.Request(f"{address}/shared", method="PUT")
        urllib.request.urlopen(request, timeout=60).close()
        yield address
    finally:
        running.stop()


class Clone(Repository):
    """A clone in which quick stages of the default pipeline run, with this Python."""

    def __init__(self, folder: Path, address: str):
        super().__init__(
            folder,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_DEFAULT_REGION="us-east-1",
            DVC_NO_ANALYTICS="1",
            NO_PROXY="127.0.0.1",
            PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin",
            PYTHONPATH=str(folder),
        )
        self.address = address

    def connect(self) -> None:
        """What `make remote URL=s3://shared/cache` and `dvc remote modify` write."""
        remote = f"url = s3://shared/cache\nendpointurl = {self.address}\n"
        text = f"[core]\nremote = shared\n['remote \"shared\"']\n{remote}"
        (self.folder / ".dvc/config.local").write_text(text)

    def ran(self, *arguments: str) -> list[str]:
        """The stages that `dvc repro` ran, without those that it took from a cache."""
        lines = self.dvc("repro", *arguments).stdout.splitlines()
        start = "Running stage '"
        return [line.removeprefix(start)[:-2] for line in lines if line.startswith(start)]

    def read(self, *names: str) -> list[bytes]:
        return [(self.folder / name).read_bytes() for name in names]


@pytest.fixture
def first(server, tmp_path):
    """A clone of a small newsroom in which nothing has run."""
    clone = Clone(tmp_path / "a", server)
    for name in FILES:
        source, target = ROOT / name, clone.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    params = yaml.safe_load((clone.folder / "params.yaml").read_text())
    params["newsroom"]["events"] = {"train": 40, "validation": 10, "test": 10}
    (clone.folder / "params.yaml").write_text(yaml.safe_dump(params))
    clone.call(sys.executable, "-m", "stages.pipeline.unroll")  # as `make repro` does first
    clone.git("init", "-q", "-b", "main")
    clone.git("add", "-A")
    clone.git("commit", "-q", "-m", "not run")
    return clone


def test_no_clone_repeats_what_another_ran(first, tmp_path):
    second = Clone(tmp_path / "b", first.address)
    first.git("clone", "-q", str(first.folder), str(second.folder))
    pulling = ("--pull", "--allow-missing", STAGES[-1])

    first.connect()
    assert first.ran(STAGES[-1]) == list(STAGES)
    first.call(sys.executable, "-m", "stages.pipeline.push")

    # That run is not committed: only the run-cache knows about it.
    dry = ("--dry", "--single-item", "newsroom")
    assert second.ran(*dry) == ["newsroom"]  # the control: without the remote it would run
    second.connect()
    assert second.ran(*pulling) == ["code"]  # an output that persists is in no run-cache
    assert second.read("dvc.lock", METRIC) == first.read("dvc.lock", METRIC)

    # Once committed, it is up to date in a clone that has no data, and fetches none.
    first.git("add", "-A")
    first.git("commit", "-q", "-m", "run")
    third = Clone(tmp_path / "c", first.address)
    first.git("clone", "-q", str(first.folder), str(third.folder))
    third.connect()
    assert third.ran(*pulling) == []
    assert not (third.folder / "data").exists()
    third.dvc("pull", "--quiet", "fetch@glue")
    assert [path.name for path in (third.folder / "data").iterdir()] == ["glue"]
