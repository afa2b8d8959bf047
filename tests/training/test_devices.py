"""What a script asks of XLA before it computes."""

import subprocess
import sys
from unittest import mock

import pytest

from stages.tasks.mlm.arguments import MlmArguments
from stages.training import session

COUNT = """
import pathlib
import jax.numpy as jnp
from stages.training.devices import limit_threads
limit_threads(5)
jnp.ones((256, 256)).dot(jnp.ones((256, 256))).block_until_ready()
names = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
print(sum(name.startswith("tf_XLAEigen") for name in names))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads that Linux lists")
def test_operations_are_shared_among_the_threads_that_are_asked_for():
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True)
    assert done.stdout == "5\n", done.stderr


@pytest.mark.parametrize(("flags", "expected"), [((), []), (("--cpu_threads=1",), [1])])
def test_threads_are_limited_where_it_is_asked_for(monkeypatch, tmp_path, flags, expected):
    given = []
    monkeypatch.setattr(session, "limit_threads", given.append)
    line = [
        "run_mlm_flax.py",
        f"--model_name_or_path={tmp_path}",
        "--do_eval",
        "--validation_file=v.txt",
        f"--output_dir={tmp_path}",
        *flags,
    ]
    with mock.patch.object(sys, "argv", line):
        session.start(MlmArguments, "A script.")
    assert given == expected
