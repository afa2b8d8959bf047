"""Training and evaluation in bfloat16 with float32 parameters."""

import jax.numpy as jnp
import numpy as np
import pytest
from support.table_model import Table, loss, rows, train, values_of

from stages.models.precision import set_compute_dtype
from stages.training.loop import run_batches
from stages.training.step import make_eval_step


@pytest.mark.parametrize("parts", [1, 2])
def test_bfloat16_trains_float32_weights(parts, tmp_path):
    dtypes = set()

    def watched(model, batch, rngs):
        dtypes.add(model.table[...].dtype)
        total, count = loss(model, batch, rngs)
        assert total.dtype == count.dtype == jnp.float32
        return total, count

    found, curve, _ = train(tmp_path / "half", 4, parts, dtype="bfloat16", loss=watched)
    wanted, full_curve, _ = train(tmp_path / "full", 4, parts)
    assert dtypes == {jnp.dtype("bfloat16")}
    np.testing.assert_allclose(curve[:, 1], full_curve[:, 1], rtol=0.02)
    assert not np.array_equal(curve[:, 1], full_curve[:, 1])
    for name, value in found.items():
        assert value.dtype == np.float32
        # Not even one of them is a bfloat16 that was only stored wide.
        assert not np.array_equal(value, value.astype(jnp.bfloat16).astype(np.float32))
        np.testing.assert_allclose(value, wanted[name], atol=0.03)


def test_bfloat16_evaluates_in_bfloat16():
    model = Table()
    set_compute_dtype(model, "bfloat16")
    step = make_eval_step(model, lambda model, batch: {"it": model(batch["input_ids"])})
    for _, out in run_batches(step, model, rows()):
        assert out["it"].dtype == jnp.bfloat16
    assert all(value.dtype == np.float32 for value in values_of(model).values())
