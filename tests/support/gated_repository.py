"""A repository with metrics, their gates and the lock that records them."""

import hashlib
import json
from pathlib import Path

import yaml

from stages.gate.__main__ import main
from support.repository import Repository

PARAMS = {
    "tasks": {"glue": {"seed": 1}, "clm": {"seed": 1}},
    "gates": {
        "glue": {"eval_accuracy": {"min": 0.8, "tolerance": 0.1}, "eval_loss": {"max": 0.5}},
        "clm": {"eval_perplexity": {"max": 20, "tolerance": "10%"}},
    },
}

METRICS = {
    "glue": {"eval_accuracy": 0.9, "eval_loss": 0.5, "note": "text is no matter"},
    "clm": {"eval_perplexity": 10},
}


class GatedRepository(Repository):
    """A Git repository with params.yaml, metrics and a dvc.lock that records them."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        (folder / "metrics").mkdir(parents=True)
        self.params = json.loads(json.dumps(PARAMS))
        self.metrics = json.loads(json.dumps(METRICS))
        self.data: dict[str, str] = {}
        self.write()
        self.git("init", "-q", "-b", "main")
        self.commit()

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "state")

    def write(self) -> None:
        """Write everything as a run would: the lock records what the metrics files hold."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params))
        for task, metrics in self.metrics.items():
            self.file(task).parent.mkdir(exist_ok=True)
            self.file(task).write_text(json.dumps(metrics))
        self.record()

    def record(self) -> None:
        """A stage for each metrics file, which depends on the test data of `self.data`, if any."""
        stages, records = {}, {}
        for path in sorted((self.folder / "metrics").rglob("*.json")):
            name = path.relative_to(self.folder).as_posix()
            md5 = hashlib.md5(path.read_bytes()).hexdigest()
            stages[name] = {"cmd": "x", "metrics": [{name: {"cache": False}}]}
            records[name] = {"cmd": "x", "outs": [{"path": name, "hash": "md5", "md5": md5}]}
            if name == f"metrics/{path.stem}.json" and path.stem in self.data:
                self.data_file(path.stem).parent.mkdir(parents=True, exist_ok=True)
                self.data_file(path.stem).write_text(self.data[path.stem])
                read = f"data/{path.stem}/test.csv"
                stages[name]["deps"] = [read]
                records[name]["deps"] = [
                    {"path": read, "hash": "md5", "md5": self.data_sum(path.stem)}
                ]
        self.write_yaml("dvc.yaml", {"stages": stages})
        self.write_yaml("dvc.lock", {"schema": "2.0", "stages": records})

    def write_yaml(self, name: str, content: dict) -> None:
        (self.folder / name).write_text(yaml.safe_dump(content))

    def file(self, task: str) -> Path:
        return self.folder / "metrics" / f"{task}.json"

    def data_file(self, task: str) -> Path:
        return self.folder / "data" / task / "test.csv"

    def data_sum(self, task: str) -> str:
        return hashlib.md5(self.data[task].encode()).hexdigest()

    def gate(self, *arguments: str) -> int:
        return main(["--repo-dir", str(self.folder), *arguments])
