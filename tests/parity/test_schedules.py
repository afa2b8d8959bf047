"""The same learning rates as transformers' schedules, step by step. Needs torch, as they do."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="transformers' schedules need torch: group `parity`")

import torch
from transformers import get_scheduler

from stages.training.optimization_arguments import LR_SCHEDULES
from stages.training.optimizer import make_schedule

pytestmark = pytest.mark.parity
STEPS = 50


@pytest.mark.parametrize("warmup", [0, 7])
@pytest.mark.parametrize("kind", LR_SCHEDULES)
def test_schedules(kind, warmup):
    if kind == "constant" and warmup:
        pytest.skip("constant has no warm-up")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    theirs = get_scheduler(kind, optimizer, num_warmup_steps=warmup, num_training_steps=STEPS)
    rates = []
    for _ in range(STEPS):
        rates.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    ours = make_schedule(kind, 0.3, warmup, STEPS)
    np.testing.assert_allclose([ours(step) for step in range(STEPS)], rates, rtol=1e-5, atol=1e-8)
