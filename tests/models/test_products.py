"""Matrix products, as XLA makes them fastest and alike on every processor."""

from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stages.models import products
from stages.models.products import product, use_portable_products

SHAPES = [
    ((3, 4), (4, 5)),
    ((1, 600), (600, 2)),
    ((2, 3, 7, 1100), (2, 3, 1100, 6)),
    ((9, 512), (512, 1)),
]


@pytest.fixture
def portable():
    use_portable_products(True)


def drawn(*shapes: tuple[int, ...]) -> list[jax.Array]:
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape, np.float32)) for shape in shapes]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_values_and_gradients_are_those_of_a_product(portable, left, right, transposed):
    a, b = drawn(left, right)
    b = b.mT if transposed else b

    def ours(a, b):
        return jnp.tanh(product(a, b, transposed=transposed))

    def theirs(a, b):
        return jnp.tanh(a @ (b.mT if transposed else b))

    np.testing.assert_allclose(ours(a, b), theirs(a, b), rtol=2e-4, atol=2e-4)
    for number in (0, 1):
        found, expected = (
            jax.grad(lambda *factors, f=f: f(*factors).sum(), number)(a, b) for f in (ours, theirs)
        )
        assert found.shape == (a, b)[number].shape
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_a_long_sum_is_cut(portable):
    a, b = drawn((3, 2 * products.DEPTH + 7), (2 * products.DEPTH + 7, 4))
    text = str(jax.make_jaxpr(product)(a, b))
    assert text.count("dot_general") == 3
    short = str(jax.make_jaxpr(product)(a[:, : products.DEPTH], b[: products.DEPTH]))
    assert short.count("dot_general") == 1


@pytest.mark.parametrize("agrees", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_large_product_is_the_librarys_where_a_trial_agrees(
    portable, monkeypatch, agrees, transposed
):
    """Only in one form, the last axis against the last but one, does XLA compile it itself."""
    monkeypatch.setattr(products, "LARGE", 1)
    monkeypatch.setattr(products, "library_agrees", lambda *_: agrees)
    a, b = drawn((6, 300), (7, 300) if transposed else (300, 7))

    def both(a, b):
        y, backward = jax.vjp(lambda a, b: product(a, b, transposed=transposed), a, b)
        return y, *backward(jnp.cos(y))

    own = str(jax.make_jaxpr(both)(a, b)).count("dimension_numbers=(([1], [0]), ([], []))")
    # Two pieces of the inner dimension, and one of each other.
    assert own == (0 if agrees else 4)
    c = b.mT if transposed else b
    y = np.cos(a @ c)
    expected = a @ c, y @ c.mT, (y.mT @ a if transposed else a.mT @ y)
    for found, value in zip(both(a, b), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("order", [1, -1])
def test_a_trial_tells_another_order_of_a_sum(monkeypatch, order):
    def summed(a, b, left, right, order):
        return reduce(add, (a[:, k, None] * b[k] for k in range(a.shape[1])[::order]))

    monkeypatch.setattr(products, "_by_xla", partial(summed, order=1))
    monkeypatch.setattr(products, "_by_library", partial(summed, order=order))
    trial = products.library_agrees.__wrapped__
    assert trial((9, 20), (20, 30), -1, -2) is (order == 1)


def test_without_the_mode_a_product_is_one_operation():
    a, b = drawn((3, 1100), (5, 1100))
    text = str(jax.make_jaxpr(lambda a, b: product(a, b, transposed=True))(a, b))
    assert text.count("dot_general") == 1
    assert "transpose" not in text
    assert "custom_vjp" not in text
