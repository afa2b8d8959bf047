"""Whether the metrics are those of the commit, by what `dvc.lock` records of the run.

Of each judged file this looks at the stage that wrote it and at all stages that this one needs.
What a stage was made from (its command, parameters, dependencies) and what it made must be what the
commit has, as far as Git has it. What Git does not have (data, models) must be recorded alike where
one stage writes it and another reads it. It finds stale what `dvc repro` would run again.

Code is held by digests of its syntax, so that a comment makes nothing stale: `code/` must have the
digests of the commit's own sources, which are read and not imported.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from stages.core.errors import InputError, quoted
from stages.core.import_guard import CODE
from stages.core.params import PARAMS_FILE, parse_params
from stages.gate.code_files import CodeFiles
from stages.gate.definitions import PIPELINE_FILE, is_below, read_pipeline
from stages.gate.files import AGAIN, read_here
from stages.gate.lockfile import parse_records
from stages.gate.rules import Verdict
from stages.gate.tracked import Tracked, md5

MISSING = object()


class Provenance:
    """The commit beside its `dvc.lock`.

    Args:
        folder: where both are.
        params: the content of `params.yaml` there.

    Raises:
        InputError: `dvc.lock` or `dvc.yaml` cannot be read.
    """

    def __init__(self, folder: Path, params: Mapping):
        self.folder = folder
        self.params = {PARAMS_FILE: params}
        self.lock = parse_records(parse_params(read_here(folder, "dvc.lock"), "dvc.lock"))
        self.pipeline = read_pipeline(folder, params)
        self.tracked = Tracked(
            folder,
            {
                path
                for stage in self.pipeline.stages.values()
                for dep in (*stage.deps, *stage.outs)
                for path in (dep, f"{dep}.dvc")
                if not is_below(dep, CODE.name)
            },
        )
        self.code = CodeFiles(folder)
        self.what_is_stale = cache(self._what_is_stale)
        self.unheld: dict[str, str] = {}

    def judge(self, file: str) -> Verdict | None:
        """A verdict on `metrics/FILE.json` where it is not of this commit."""
        path = f"metrics/{file}.json"
        try:
            content = read_here(self.folder, path)
        except InputError:
            return None  # its gates say so
        try:
            writer = self._writer(path)
            if wrong := self._another_content(path, content, self.lock[writer].outs.get(path)):
                return Verdict(file, "", "not as run", 2, f"{wrong}; {AGAIN}")
            for stage in self._chain(writer):
                if reason := self.what_is_stale(stage):
                    return Verdict(file, "", "stale", 2, self._advice(stage, reason))
        except InputError as error:
            return Verdict(file, "", "not as run", 2, str(error))
        return None

    def _writer(self, path: str) -> str:
        """The one stage that `dvc.yaml` has for a metrics file, if `dvc.lock` has it too."""
        recorded = [stage for stage, record in self.lock.items() if path in record.outs]
        writer = self.pipeline.writer(path)
        if not recorded:
            raise InputError(f"{path}: no stage in dvc.lock records it; {AGAIN}")
        if writer is None:
            beyond = "; ".join(self.pipeline.beyond.values())
            reason = f" ({beyond})" if beyond else ""
            raise InputError(
                f"{path}: {recorded[0]} of dvc.lock records it, and {PIPELINE_FILE} has no stage "
                f"that writes it{reason}; {AGAIN}"
            )
        if writer not in self.lock:
            raise InputError(
                f"{path}: {recorded[0]} of dvc.lock records it, and {PIPELINE_FILE} has {writer} "
                f"write it; {AGAIN}"
            )
        return writer

    def _chain(self, stage: str) -> list[str]:
        """A stage and all that it needs, these first; `code` is not among them."""
        needs: dict[str, list[str]] = {}
        waiting = [stage]
        while waiting:
            name = waiting.pop()
            if name in needs:
                continue
            deps = [dep for dep in self.pipeline.stages[name].deps if not is_below(dep, CODE.name)]
            upstream = {writer for dep in deps for writer in self.pipeline.writers(dep)}
            # In the order of dvc.yaml, so that the first of several is always the same.
            needs[name] = [other for other in self.pipeline.stages if other in upstream]
            waiting += needs[name]
        ordered = {name: needs[name] for name in self.pipeline.stages if name in needs}
        try:
            return list(TopologicalSorter(ordered).static_order())
        except CycleError as error:
            circle = " from ".join(error.args[1])
            raise InputError(f"{PIPELINE_FILE}: a stage needs itself: {circle}") from None

    def _advice(self, stage: str, reason: str) -> str:
        thaw = f"`dvc unfreeze {stage}`, then " if self.pipeline.stages[stage].frozen else ""
        return (
            f"dvc.lock: {stage} is stale: {reason}; run {thaw}`dvc repro`, and commit what it "
            "records"
        )

    def _what_is_stale(self, stage: str) -> str:
        """The first thing that makes a stage stale; "" if there is none."""
        defined, record = self.pipeline.stages[stage], self.lock.get(stage)
        if record is None:
            return "it has no entry"
        if record.cmd != defined.cmd:
            return f"its command in {PIPELINE_FILE} is another than the run's"
        reasons = (
            *(self._other_param(file, keys, record) for file, keys in defined.params.items()),
            *(self._other_dep(stage, path, record.deps.get(path)) for path in defined.deps),
            self.code.lacking(str(defined.cmd), defined.deps),
            *(
                self._other_out(stage, path, held, record.outs.get(path))
                for path, held in defined.outs.items()
            ),
        )
        return next(filter(None, reasons), "")

    # Parameters

    def _other_param(self, file: str, keys: Iterable[str] | None, record) -> str:
        if file not in self.params:
            self.params[file] = parse_params(read_here(self.folder, file), file)
        recorded = record.params.get(file, {})
        for key in recorded if keys is None else keys:
            if key not in recorded:
                return f"the run recorded no {key} of {file}"
            now = value_at(self.params[file], key)
            if now is MISSING:
                return f"{file}: {key} is gone"
            if now != recorded[key]:
                return f"{file}: {first_difference(key, now, recorded[key])}"
        return ""

    # Dependencies

    def _other_dep(self, stage: str, path: str, recorded: str | None) -> str:
        if recorded is None:
            return f"the run recorded no {path}"
        if is_below(path, CODE.name):
            return self.code.changed(path, recorded)
        for other, record in self.lock.items():
            if other != stage and other in self.pipeline.stages:
                known = record.outs.get(path, recorded)
                if known != recorded:
                    return f"it read another {path} than {other} wrote"
        if self.pipeline.writer(path):
            return ""
        reader = self._other_reader(path, recorded)
        return reader or self._other_source(stage, path, recorded)

    def _other_reader(self, path: str, recorded: str) -> str:
        """Of what is a part of an output: whether another stage read another, as after a merge."""
        for other, defined in self.pipeline.stages.items():
            record = self.lock.get(other)
            if path in defined.deps and record and record.deps.get(path, recorded) != recorded:
                return f"it read another {path} than {other}"
        return ""

    def _other_source(self, stage: str, path: str, recorded: str) -> str:
        """Of what no stage writes as such: whether Git has another."""
        found = self.tracked.digest(path)
        if found is None:
            found = self._of_dvc_file(path)
        if found is not None:
            return "" if found == recorded else f"{path} is another than the run read"
        if not self.pipeline.writers(path):
            self.unheld[path] = stage
        return ""

    def _of_dvc_file(self, path: str) -> str | None:
        """The MD5 sum that `PATH.dvc` gives (`dvc add`); None without such a file."""
        name = f"{path}.dvc"
        if self.tracked.digest(name) is None:
            return None
        outs = parse_params(read_here(self.folder, name), name).get("outs")
        try:
            return str(outs[0]["md5"])
        except (LookupError, TypeError):
            raise InputError(f"{name}: names no md5; run `dvc add {path}` again") from None

    # Outputs

    def _other_out(self, stage: str, path: str, held: bool, recorded: str | None) -> str:
        if recorded is None:
            return f"the run recorded no {path}"
        others = [one for one, record in self.lock.items() if one != stage and path in record.outs]
        if others:
            return f"dvc.lock records {path} of {others[0]} too; take one of the entries out"
        if not held:
            return ""
        found = self.tracked.digest(path)
        if found is None:
            return f"{path} is missing"
        return "" if found == recorded else self._edited(path)

    def _another_content(self, path: str, content: bytes, recorded: str | None) -> str:
        if recorded is None:
            return f"{path}: no stage in dvc.lock records it"
        return "" if md5(content) == recorded else self._edited(path)

    @staticmethod
    def _edited(path: str) -> str:
        return f"{path}: differs from what dvc.lock records (edited by hand?)"


def value_at(params, dotted: str):
    """The value of a dotted key, or `MISSING`."""
    for part in dotted.split("."):
        if not isinstance(params, Mapping) or part not in params:
            return MISSING
        params = params[part]
    return params


def first_difference(key: str, now, recorded) -> str:
    """Where two values differ, by the inmost key that both have."""
    if isinstance(now, Mapping) and isinstance(recorded, Mapping):
        for name in [*now, *(name for name in recorded if name not in now)]:
            inner = f"{key}.{name}"
            if name not in recorded:
                return f"{inner} is new"
            if name not in now:
                return f"{inner} is gone"
            if now[name] != recorded[name]:
                return first_difference(inner, now[name], recorded[name])
    return f"{key} is {quoted(now)}, the run had {quoted(recorded)}"


def check_provenance(
    folder: Path, params: Mapping, files: Iterable[str]
) -> tuple[list[Verdict], list[str]]:
    """Hold metrics files to the commit: a verdict for each that is not of it, and warnings."""
    try:
        provenance = Provenance(folder, params)
    except InputError as error:
        return [Verdict("", "", "bad lock", 2, str(error))], []
    verdicts = [verdict for file in files if (verdict := provenance.judge(file))]
    warnings = [
        f"{stage} read {path}, which is not in Git; that it is still the same cannot be said"
        for path, stage in provenance.unheld.items()
    ]
    return verdicts, warnings
