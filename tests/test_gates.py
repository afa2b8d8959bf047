"""The committed metrics, held to the gates of `params.yaml`: what `make gate` does, for pytest."""

from pathlib import Path

import pytest

from stages.gate import check, check_lock, read_params
from stages.gate_changes import task_names
from stages.gate_files import Unusable

ROOT = Path(__file__).resolve().parents[1]


def collect() -> list:
    """One parameter for each verdict; a single one that fails if nothing can be judged."""
    try:
        verdicts = check(ROOT, lock=False).verdicts
    except Unusable as error:
        return [pytest.param(2, str(error), id="params")]
    return [
        pytest.param(one.status, one.message, id=f"{one.task}-{one.metric}") for one in verdicts
    ]


@pytest.mark.gates
@pytest.mark.parametrize(("status", "message"), collect())
def test_gate_holds(status, message):
    assert status == 0, message


@pytest.mark.gates
def test_metrics_are_those_that_the_lock_records():
    messages = [one.message for one in check_lock(ROOT, task_names(read_params(ROOT)))]
    assert not messages
