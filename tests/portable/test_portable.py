"""`make portable`: what it computes, and the page that it writes."""

import shutil

import numpy as np
import pytest
from portable import measure, operations

from stages.core.errors import InputError


@pytest.mark.parametrize(("rows", "inner", "columns"), [(7, 5, 3), (70, 513, 64), (64, 1300, 130)])
def test_whole_columns_are_the_product(rows, inner, columns):
    a, b = operations.draw("a", rows, inner), operations.draw("b", inner, columns)
    found = operations.whole_columns(a, b)
    assert found.shape == (rows, columns)
    np.testing.assert_allclose(found, a.astype("f8") @ b.astype("f8"), rtol=1e-4, atol=1e-3)


def test_a_digest_is_of_all_bytes():
    one = np.arange(4.0)
    assert operations.digest(one) == operations.digest(one.copy())
    assert operations.digest(one) != operations.digest(np.nextafter(one, 5))
    assert operations.digest((one, one)) != operations.digest(one)


def test_the_same_machine_gives_the_same_bytes():
    families = ("functions", "sums")
    words = (*measure.OPERATIONS, *families)
    found = measure.run(1, words=words)
    assert found == measure.run(1, words=words)
    assert tuple(found) == families
    assert len(found["functions"]) > 10


def test_no_emulator(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="apt-get install qemu-user"):
        measure.run(1, "Haswell")


def test_what_fails_is_no_result(capfd):
    with pytest.raises(InputError, match=r"operations\.py nosuch ended with 1"):
        measure.run(1, words=(*measure.OPERATIONS, "nosuch"))
    assert "KeyError: 'nosuch'" in capfd.readouterr().err


@pytest.mark.slow(seconds=150)
@pytest.mark.skipif(shutil.which(measure.EMULATOR) is None, reason="needs qemu-user")
def test_another_processor():
    """What differs there shows that the page does not compare the machine with itself."""
    families = ("lookups, order, random numbers", "other products")
    words = (*measure.OPERATIONS, *families)
    expected, found = measure.run(1, words=words), measure.run(1, "Haswell", words)
    assert found[families[0]] == expected[families[0]]
    assert found[families[1]] != expected[families[1]]


def test_the_page_counts_what_is_the_same():
    expected = {"sums": {"a": "1", "b": "2"}, "products": {"c": "3"}}
    others = {
        "2 threads": expected,
        "Haswell": {"sums": {"a": "1", "b": "9"}, "products": {"c": "4"}},
    }
    text = measure.page(expected, others)
    assert "| operations | cases | 2 threads | Haswell |" in text
    assert "| sums | 2 | all | **1** |" in text
    assert "| products | 1 | all | **0** |" in text
    assert "\n- sums: b\n" in text
    assert "- products" not in text


def test_the_committed_page_is_of_these_operations():
    """Families and numbers of cases; the digests are in no file."""
    text = measure.PAGE.read_text(encoding="utf-8")
    for family, cases in operations.FAMILIES.items():
        assert f"| {family} | {sum(1 for _ in cases())} | " in text
    assert f"| {' | '.join(measure.PROCESSORS)} |" in text
