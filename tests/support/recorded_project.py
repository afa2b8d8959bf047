"""A project whose every stage is recorded as run, for the gate: nothing of it can run."""

import hashlib
import json

import yaml

from stages.core.sources import Sources
from stages.gate.__main__ import main
from stages.gate.tracked import Tracked
from support.repository import Repository

# Two tasks of three stages each; `glue` starts from a model of `clm`. `start` is in Git.
PIPELINE = {
    "vars": ["tasks.yaml"],
    "stages": {
        "code": {
            "cmd": "python -m stages.code",
            "deps": ["stages"],
            "outs": [{"code": {"cache": False, "persist": True}}],
        },
        "versions": {
            "cmd": "pip freeze",
            "deps": ["requirements.lock"],
            "outs": [{"versions.json": {"cache": False}}],
        },
        "fetch": {
            "foreach": "${tasks}",
            "do": {
                "cmd": "fetch ${key}",
                "deps": ["${item.source}"],
                "params": ["tasks.${key}.data"],
                "outs": ["data/${key}"],
            },
        },
        "train": {
            "foreach": "${tasks}",
            "do": {
                "cmd": "python -m stages.${item.script} ${item.flags}",
                "deps": [
                    "code/${key}.json",
                    "data/${key}/train.csv",
                    "${item.start}",
                    "versions.json",
                ],
                "params": ["tasks.${key}", {"extra.yaml": ["sizes"]}],
                "outs": ["models/${key}"],
                "plots": [{"plots/${key}": {"cache": False}}],
            },
        },
        "evaluate": {
            "foreach": "${tasks}",
            "do": {
                "cmd": "evaluate ${key}",
                "deps": ["models/${key}", "data/${key}/test.csv"],
                "metrics": [{"metrics/${key}.json": {"cache": False}}],
            },
        },
        "spread": {
            "foreach": ["glue"],
            "do": {
                "cmd": "spread ${item}",
                "deps": ["metrics/${item}.json", "metrics/seeds/${item}"],
                "params": ["seeds.${item}"],
                "metrics": [{"metrics/seeds/${item}.json": {"cache": False}}],
            },
        },
        "repeat": {
            "cmd": "repeat",
            "metrics": [{"metrics/seeds/glue/7.json": {"cache": False}}],
        },
    },
}
PARAMS = {
    "tasks": {
        "clm": {"data": {"source": "texts"}, "rate": 1.0e-5},
        "glue": {"data": {"source": "reviews"}, "rate": 0.1, "warm": None},
    },
    "seeds": {"glue": [7]},
    "gates": {
        "clm": {"eval_loss": {"max": 2}},
        "glue": {"eval_accuracy": {"min": 0.5, "deviations": 1}},
    },
}
TASKS = {
    "clm": {"source": "texts", "script": "run_clm", "start": "start", "flags": "--fast"},
    "glue": {"source": "reviews", "script": "run_glue", "start": "models/clm", "flags": "--cold"},
}
FILES = {
    "extra.yaml": "sizes: [1, 2]\n",
    "requirements.lock": "jax==1\n",
    "versions.json": '{"jax": "1"}',
    "start/config.json": "{}",
    "start/inner/tokens.txt": "a\nb\n",
    "start/old~": "left out by .dvcignore",
    ".dvcignore": "*~\n",
    ".gitignore": "/data/\n/models/\n/texts/\n",
    "reviews/train.csv": "a\n",
    "texts.dvc": "outs:\n- md5: 0123.dir\n  path: texts\n",
    "stages/__init__.py": "",
    "stages/run_clm.py": "from stages.loop import train\n\ntrain()\n",
    "stages/run_glue.py": (
        "from stages import loop\n\ntry:\n    import stages.more\nexcept ImportError:\n    pass\n"
    ),
    "stages/loop.py": '"""Trains."""\n\n\ndef train():\n    return 1  # step\n',
    "stages/words.txt": "one\n",
    "plots/clm/train.csv": "step,loss\n1,2\n",
    "plots/glue/train.csv": "step,loss\n1,3\n",
    "metrics/clm.json": '{"eval_loss": 1}',
    "metrics/glue.json": '{"eval_accuracy": 0.9}',
    "metrics/seeds/glue/7.json": '{"eval_accuracy": 0.8}',
    "metrics/seeds/glue.json": '{"eval_accuracy_mean": 0.85, "eval_accuracy_std": 0.1}',
}  # fmt: skip


class RecordedProject(Repository):
    """The files in `folder`, which is a repository with one commit once `make` was called."""

    def make(self) -> None:
        self.folder.mkdir()
        for name, text in FILES.items():
            self.write(name, text)
        self.write("params.yaml", yaml.safe_dump(PARAMS))
        self.write("tasks.yaml", yaml.safe_dump({"tasks": TASKS}))
        self.write("dvc.yaml", yaml.safe_dump(PIPELINE))
        for task in TASKS:
            digests = Sources(self.folder).digests([f"stages.run_{task}"])
            self.write(f"code/{task}.json", json.dumps(digests))
        self.git("init", "-q", "-b", "main")
        self.record()
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "-m", "run")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def md5(self, path: str) -> str:
        """Of what is here; something made up where it is not."""
        here = self.folder / path
        if here.exists():
            return Tracked(self.folder, [path]).digest(path) or ""
        known = {"texts": "0123.dir"}
        return known.get(path, hashlib.md5(path.encode()).hexdigest())

    def entry(self, cmd: str, deps=(), params=None, outs=()) -> dict:
        found = {"cmd": cmd}
        for part, paths in (("deps", deps), ("outs", outs)):
            found[part] = [{"path": p, "hash": "md5", "md5": self.md5(p)} for p in paths]
        return found | ({"params": params} if params else {})

    def record(self) -> None:
        stages = {
            "versions": self.entry("pip freeze", ["requirements.lock"], None, ["versions.json"]),
            "repeat": self.entry("repeat", [], None, ["metrics/seeds/glue/7.json"]),
            "spread@glue": self.entry(
                "spread glue",
                ["metrics/glue.json", "metrics/seeds/glue"],
                {"params.yaml": {"seeds.glue": [7]}},
                ["metrics/seeds/glue.json"],
            ),
        }
        for task, entry in TASKS.items():
            own = PARAMS["tasks"][task]
            stages |= {
                f"fetch@{task}": self.entry(
                    f"fetch {task}",
                    [entry["source"]],
                    {"params.yaml": {f"tasks.{task}.data": own["data"]}},
                    [f"data/{task}"],
                ),
                f"train@{task}": self.entry(
                    f"python -m stages.{entry['script']} {entry['flags']}",
                    [
                        f"code/{task}.json",
                        f"data/{task}/train.csv",
                        entry["start"],
                        "versions.json",
                    ],
                    {"params.yaml": {f"tasks.{task}": own}, "extra.yaml": {"sizes": [1, 2]}},
                    [f"models/{task}", f"plots/{task}"],
                ),
                f"evaluate@{task}": self.entry(
                    f"evaluate {task}",
                    [f"models/{task}", f"data/{task}/test.csv"],
                    None,
                    [f"metrics/{task}.json"],
                ),
            }
        self.write("dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))

    def change(self, name: str, edit) -> None:
        """Edit a YAML file as a mapping."""
        content = yaml.safe_load((self.folder / name).read_text())
        edit(content)
        self.write(name, yaml.safe_dump(content))

    def gate(self, *arguments: str) -> int:
        return main(["--repo-dir", str(self.folder), *arguments])
