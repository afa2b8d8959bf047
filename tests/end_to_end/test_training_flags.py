"""Flags of training in a script: dtype, gradient checkpointing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import scripts
from support.decoders import computed_again
from support.table_model import arguments

from stages.training.session import load_model


@pytest.fixture
def run_glue(files, tmp_path):
    """`run_glue(model, flags...)`: the output folder of a tiny run on the pairs."""

    def run(model, *flags):
        file, folder = files / "pairs.csv", tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        scripts.call(
            "run_flax_glue", f"--model_name_or_path={model}", f"--train_file={file}",
            f"--validation_file={file}", f"--output_dir={folder}", *scripts.TRAINING, *flags,
        )  # fmt: skip
        return folder

    return run


def test_a_script_computes_in_its_dtype(run_glue, trained):
    """In the evaluation of a finished model; a training reads the same note on its model."""
    full = scripts.results(trained("glue"))["eval_loss"]
    half = scripts.results(run_glue(trained("glue"), "--do_eval", "--dtype=bfloat16"))["eval_loss"]
    assert half != full
    assert half == pytest.approx(full, rel=0.02)


def test_a_script_checkpoints_its_layers(run_glue, trained, checkpoint, tokenizer):
    """The same losses, with dropout; and the flag does reach the model."""
    folder = run_glue(checkpoint(), "--do_train", "--gradient_checkpointing")
    curves = [
        np.loadtxt(it / "runs/train.csv", delimiter=",", skiprows=1)
        for it in (folder, trained("glue"))
    ]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)
    for wanted in (True, False):
        args = arguments("o", gradient_checkpointing=wanted)
        args.model_name_or_path = checkpoint()
        model = load_model(args, "masked_lm", tokenizer)
        jaxpr = jax.make_jaxpr(lambda model: model(jnp.ones((1, 4), jnp.int32)))(model).jaxpr
        # Gelus are computed again either way; a layer has matrix products too.
        assert any("dot_general" in str(part) for part in computed_again(jaxpr)) is wanted
