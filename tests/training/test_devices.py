"""What a script asks of XLA before it computes."""

import json
import os
import platform
import subprocess
import sys
from unittest import mock

import pytest
from support import scripts
from support.compiled import library_products

from stages.tasks.mlm.arguments import MlmArguments
from stages.tasks.registry import TASKS
from stages.training import devices, session

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


@pytest.mark.parametrize(
    ("flags", "expected", "portable"),
    [
        ((), [], False),
        (("--cpu_threads=3",), [3], False),
        (("--portable",), [1], True),
        (("--portable", "--cpu_threads=3"), [3], True),
    ],
)
def test_threads_are_limited_where_it_is_asked_for(
    monkeypatch, tmp_path, flags, expected, portable
):
    given = []
    monkeypatch.setattr(session, "limit_threads", given.append)
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])
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
    assert set(devices.PORTABLE).issubset(os.environ["XLA_FLAGS"].split()) is portable


@pytest.mark.parametrize(
    ("machine", "widest"), [("x86_64", True), ("AMD64", True), ("aarch64", False)]
)
def test_portable_settings_win_and_come_once(monkeypatch, caplog, machine, widest):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(devices, "lacks_instructions", lambda: False)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true --xla_a=1")
    devices.compute_portably()
    once = os.environ["XLA_FLAGS"]
    devices.compute_portably()
    assert os.environ["XLA_FLAGS"] == once
    first, second, *ours = once.split()
    # Of two values XLA takes the last.
    assert (first, second) == ("--xla_cpu_multi_thread_eigen=true", "--xla_a=1")
    assert ours == [*devices.PORTABLE, *([devices.WIDEST] if widest else [])]
    assert ("not those of x86-64" in caplog.text) is not widest


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx avx2 fma sse\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx avx2\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx fma4\n", True),
        ("no such line\n", False),
        (None, False),
    ],
)
def test_a_processor_without_the_instructions(tmp_path, text, lacks):
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text)
    assert devices.lacks_instructions(str(file)) is lacks


def test_a_processor_without_them_is_said(monkeypatch, caplog):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(devices, "lacks_instructions", lambda: True)
    monkeypatch.setenv("XLA_FLAGS", "")
    devices.compute_portably()
    assert "this processor has no AVX2" in caplog.text


def test_portable_is_of_float32(tmp_path):
    said = scripts.refused(
        "run_mlm_flax", f"--model_name_or_path={tmp_path}", "--do_eval", "--validation_file=v.txt",
        "--output_dir=o", "--portable", "--dtype=bfloat16",
    )  # fmt: skip
    assert "--portable with --dtype bfloat16" in said


@pytest.mark.slow(seconds=40)
@pytest.mark.parametrize("task", TASKS)
def test_no_library_computes_a_product(task, files, checkpoint, tmp_path):
    """All programs of a training, an evaluation and a prediction, as XLA compiled them."""
    model = checkpoint(scripts.FAMILIES.get(task, "bert"))

    def compiled(*flags: str) -> dict[str, list[str]]:
        folder = tmp_path / f"compiled{len(flags)}"
        xla = f"--xla_dump_to={folder} --xla_dump_hlo_as_text"
        scripts.run_apart(task, files, model, tmp_path / "out", *flags, xla=xla)
        return library_products(folder)

    found = compiled("--portable")
    assert len(found) > 3
    assert not any(found.values()), json.dumps(found, indent=1)
    assert any(compiled().values())


# Rows, inner dimension and columns around the sizes of tiles and vectors.
PRODUCTS = """
import jax, numpy as np
from stages.models import products
from stages.models.products import product, use_portable_products
from stages.training.devices import compute_portably
compute_portably()
use_portable_products(True)
draws = np.random.default_rng(0)
shapes = [(m, k, n) for m in (1, 2, 6, 7, 13) for k in (1, 8, 9, 600) for n in (1, 2, 80, 160)]
shapes += [(7, 17, n) for n in range(1, 70)]
factors = [[draws.standard_normal(s, np.float32) for s in ((m, k), (k, n))] for m, k, n in shapes]
for (a, b), y in zip(factors, jax.jit(lambda all: [product(a, b) for a, b in all])(factors)):
    np.testing.assert_allclose(y, a.astype("f8") @ b, rtol=1e-4, atol=1e-4)

def both(a, b):
    y, backward = jax.vjp(product, a, b)
    return y, backward(jax.numpy.tanh(y))

for m, k, n in ((777, 300, 131), (600, 128, 1000), (2048, 128, 128)):
    a, b = draws.standard_normal((m, k), np.float32), draws.standard_normal((k, n), np.float32)
    products.LARGE = 1
    fast = jax.jit(both).lower(a, b).compile()(a, b)
    products.LARGE = m * k * n + 1
    own = jax.jit(lambda *factors: both(*factors))(a, b)
    assert all(map(np.array_equal, jax.tree.leaves(fast), jax.tree.leaves(own)))
print(products.library_agrees.cache_info().misses, "trials")
"""


def test_products_are_right_and_those_of_libraries_the_same_as_xlas():
    environment = os.environ | {"XLA_FLAGS": "", "JAX_COMPILATION_CACHE_DIR": ""}
    line = [sys.executable, "-c", PRODUCTS]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Of each product and the two of its backward pass; the inner dimensions of three are cut.
    assert int(done.stdout.split()[0]) >= 9
