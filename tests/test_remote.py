"""A cache that two clones share, on an S3-compatible server on loopback (`make remote-test`)."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.remote
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "DVC_NO_ANALYTICS": "1",
}
# Each stage notes that it ran where both clones see it.
STAGES = {
    "first": {
        "cmd": "echo first >> $RAN; cp value.txt a.txt",
        "deps": ["value.txt"],
        "outs": ["a.txt"],
    },
    "second": {
        "cmd": "echo second >> $RAN; cat a.txt a.txt > b.txt",
        "deps": ["a.txt"],
        "outs": ["b.txt"],
    },
}


@pytest.fixture
def server():
    """The address of a server of its own, which ends with the test."""
    pytest.importorskip("dvc_s3", reason="make remote-test installs dvc-s3")
    pytest.importorskip("moto.server", reason="make remote-test installs moto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        import boto3

        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                client.create_bucket(Bucket="shared")
                break
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


class Clone:
    """A clone of a Git repository with the two stages, and the remote as its default."""

    def __init__(self, folder: Path, address: str, ran: Path):
        self.folder = folder
        identity = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "t"), ("EMAIL", "t@example.org"))
        }
        self.environment = {**os.environ, **ENVIRONMENT, **identity, "RAN": str(ran)}
        self.address = address

    def call(self, *line: str) -> str:
        done = subprocess.run(
            line, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        return self.call(sys.executable, "-m", "dvc", *arguments)

    def remote(self) -> None:
        self.dvc("remote", "add", "--local", "--default", "shared", "s3://shared/cache")
        self.dvc("remote", "modify", "--local", "shared", "endpointurl", self.address)

    def set(self, value: int) -> None:
        (self.folder / "value.txt").write_text(f"{value}\n")


def test_what_one_clone_ran_no_other_runs_again(server, tmp_path):
    ran = tmp_path / "ran"
    first = Clone(tmp_path / "a", server, ran)
    first.folder.mkdir()
    first.call("git", "init", "-q", "-b", "main")
    (first.folder / "dvc.yaml").write_text(json.dumps({"stages": STAGES}))
    (first.folder / ".gitignore").write_text("/a.txt\n/b.txt\n")
    first.dvc("init", "--quiet")
    first.remote()
    for value in (2, 1):  # of the first only the run-cache will know
        first.set(value)
        first.dvc("repro", "--quiet")
    first.call("git", "add", "-A")
    first.call("git", "commit", "-q", "-m", "run")
    first.dvc("push", "--run-cache", "--quiet")
    assert ran.read_text().split() == ["first", "second"] * 2

    second = Clone(tmp_path / "b", server, ran)
    first.call("git", "clone", "-q", str(first.folder), str(second.folder))
    second.remote()
    second.dvc("repro", "--pull", "--allow-missing")
    second.dvc("pull", "--quiet")
    assert (second.folder / "b.txt").read_text() == "1\n1\n"
    second.set(2)
    second.dvc("repro", "--pull", "--allow-missing")
    assert (second.folder / "b.txt").read_text() == "2\n2\n"
    assert ran.read_text().split() == ["first", "second"] * 2

    second.set(3)  # the control: what nobody ran is run
    second.dvc("repro", "--pull", "--allow-missing")
    assert ran.read_text().split() == ["first", "second"] * 3
