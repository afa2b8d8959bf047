"""The gate's readers, on generated text and JSON: what went in, or one line; never a traceback."""

import contextlib
import json

from hypothesis import strategies as st
from support.generated import holds, read, sizes

from stages.core.errors import InputError
from stages.core.params import parse_params
from stages.gate.changes import judge_presence
from stages.gate.definitions import PIPELINE_FILE, read_pipeline
from stages.gate.files import parse_metrics
from stages.gate.lockfile import parse_records
from stages.gate.loosened import (
    find_loosened,
    find_lower_baselines,
    find_retired,
    refuse_loosened,
)
from stages.gate.render import Findings, as_json, as_markdown, as_text
from stages.gate.rules import evaluate_gates

# YAML 1.1 folds these line breaks within a quoted text, and half an emoji is no UTF-8.
KEPT = st.characters(exclude_characters="\x85\u2028\u2029", exclude_categories=["Cs"])
TEXT = st.text(KEPT, max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
SCALARS = SCALARS.filter(lambda value: value not in (float("inf"), float("-inf")))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
# Characters that YAML gives a meaning, so that most texts are nearly YAML.
YAML = st.text(st.sampled_from("abc01.-:,[]{}&*!?|>%@'\"#<=~ \n\t\\u" + "é\x00"), max_size=80)


def check(count: int, *strategies):
    """Run the property below on `count` examples."""
    return lambda test: holds(test, *strategies, count=count)


@sizes
def test_any_bytes_as_parameters_or_metrics(count):
    @check(count, st.binary(max_size=200) | YAML.map(str.encode))
    def _(content):
        for reader, arguments in (
            (parse_params, (content, "p")),
            (parse_metrics, ("m", content)),
        ):
            found = read(reader, *arguments)
            assert found is None or isinstance(found, dict)


@sizes
def test_parameters_are_what_was_written(count):
    @check(count, st.dictionaries(TEXT, VALUES, max_size=5))
    def _(written):
        found = read(parse_params, json.dumps(written, ensure_ascii=False).encode("utf-8"), "p")
        assert found is None or found == written

    # The control: most are read.
    simple = {"a": {"b": [1, 1.5e-7, 1e22, "x: y", None, True, ""]}}
    assert parse_params(json.dumps(simple).encode(), "p") == simple


@sizes
def test_metrics_are_what_was_written(count):
    @check(count, st.dictionaries(TEXT, SCALARS, max_size=5))
    def _(written):
        assert parse_metrics("m", json.dumps(written).encode()) == written


# Shaped like an entry of dvc.lock or dvc.yaml, with something of any kind in a place or two.
STAGE_KEYS = "cmd deps outs params metrics plots foreach do vars frozen wdir path md5 params.yaml"
NAMES = st.sampled_from(STAGE_KEYS.split())
LIKE_DVC = st.recursive(
    SCALARS | st.sampled_from(["${item.x}", "${key}", "${", "a/../b", "a", "code/a.json"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
STAGES = st.dictionaries(TEXT, LIKE_DVC, max_size=3)


@sizes
def test_anything_as_lock(count):
    @check(count, STAGES.map(lambda stages: {"stages": stages}) | VALUES)
    def _(lock):
        with contextlib.suppress(InputError):  # names a stage, as the lock does
            parse_records(lock)


@sizes
def test_anything_as_pipeline(count, tmp_path):
    @check(count, STAGES, st.dictionaries(TEXT, VALUES, max_size=3))
    def _(stages, params):
        content = json.dumps({"stages": stages}, ensure_ascii=False)
        (tmp_path / PIPELINE_FILE).write_bytes(content.encode("utf-8", "replace"))
        read(read_pipeline, tmp_path, params)


WORDS = (
    "glue clm eval_f1 min max tolerance better deviations enabled retired loosened tasks seeds "
    "beats margin baselines/glue a_f1 max_eval_samples"
)
KEYS = st.sampled_from(WORDS.split()) | TEXT
GATES = st.recursive(
    SCALARS | st.sampled_from(["retired", "10%", "higher", "nan%", "baseline", "eval_*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
PARAMS = st.fixed_dictionaries({}, optional={"tasks": GATES, "gates": GATES, "seeds": GATES})
METRICS = st.dictionaries(KEYS, st.dictionaries(KEYS, SCALARS, max_size=3), max_size=3)


@sizes
def test_anything_as_gates_of_either_side(count):
    """Judged and shown in every form."""

    @check(count, PARAMS, METRICS, PARAMS, METRICS)
    def _(params, metrics, base_params, base_metrics):
        both = (params, metrics, base_params, base_metrics)
        verdicts = evaluate_gates(*both) + judge_presence(*both)
        loosened = find_loosened(params, base_params)
        loosened += find_retired(params, base_params, base_metrics)
        loosened += find_lower_baselines(*both)
        verdicts += refuse_loosened(loosened, params, base_params)
        warnings = [one.line for one in loosened]
        findings = Findings(verdicts, warnings, ("main", "0" * 40))
        assert findings.status in (0, 1, 2)
        json.loads(as_json(findings))
        lines = as_text(findings, colour=False).split("\n")
        assert len(lines) == 1 + len(verdicts)
        page = as_markdown(findings)
        assert [line[0] for line in page.splitlines() if line].count("#") == 1
        page.encode()
