"""A DVC project with this pipeline, in which one task is tiny."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from dvc.repo import Repo

from support.paths import ROOT

GLUE = {
    "data": {"source": "mine"},
    "model_name_or_path": "start",
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 4,
    "max_steps": 3,
    "learning_rate": 0.01,
    "logging_steps": 1,
    "max_seq_length": 24,
    "length_buckets": 1,
    "seed": 1,
}


class Project:
    """A DVC project with this pipeline, in which glue is tiny; nothing else is ever run."""

    def __init__(self, folder: Path, files: Path, start: Path):
        self.folder = folder
        folder.mkdir()
        for name in ("stages", "requirements.lock", ".dvcignore"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
        (folder / "start").symlink_to(start)
        (folder / "mine").mkdir()
        for split in ("train", "validation", "test"):
            (folder / f"mine/{split}.csv").write_bytes((files / "pairs.csv").read_bytes())
        Repo.init(str(folder), no_scm=True).close()
        self.params = {"tokenizers": {}, "checkpoints": {}, "tasks": {"glue": GLUE}}
        self.list_seeds([7])

    def list_seeds(self, listed: list[int]) -> None:
        self.params["seeds"] = {"glue": listed}
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params))

    def run(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": "",
                "DVC_NO_ANALYTICS": "1",
            },
            capture_output=True,
            text=True,
            timeout=300,
        )

    def metrics(self, name: str) -> dict:
        return json.loads((self.folder / f"metrics/{name}.json").read_text())
