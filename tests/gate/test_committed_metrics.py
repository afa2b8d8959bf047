"""The committed metrics, held to the gates of `params.yaml`: what `make gate` does, for pytest."""

import pytest
from support.paths import ROOT

from stages.core.errors import InputError
from stages.gate.__main__ import check
from stages.gate.inputs import file_names, read_params
from stages.gate.provenance import check_provenance


def collect() -> list:
    """One parameter for each verdict; a single one that fails if nothing can be judged."""
    try:
        verdicts = check(ROOT, lock=False).verdicts
    except InputError as error:
        return [pytest.param(2, str(error), id="params")]
    return [
        pytest.param(one.status, one.message, id=f"{one.task}-{one.metric}") for one in verdicts
    ]


@pytest.mark.gates
@pytest.mark.parametrize(("status", "message"), collect())
def test_gate_holds(status, message):
    assert status == 0, message


@pytest.mark.gates
def test_metrics_are_those_of_this_commit():
    params = read_params(ROOT)
    verdicts, warnings = check_provenance(ROOT, params, file_names(params))
    assert [one.message for one in verdicts] == []
    assert warnings == []
