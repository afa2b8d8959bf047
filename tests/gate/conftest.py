"""Fixtures of the gate's tests."""

import pytest
from support.gated_repository import GatedRepository


@pytest.fixture
def repository(tmp_path):
    return GatedRepository(tmp_path / "work")


@pytest.fixture
def repeated(repository):
    """The mean of glue's accuracy is held, less two deviations: 0.9 - 2 x 0.05."""
    repository.params["seeds"] = {"glue": [7, 8]}
    repository.params["gates"]["glue"]["eval_accuracy"] = {
        "min": 0.8, "tolerance": 0.1, "deviations": 2
    }  # fmt: skip
    repository.metrics["seeds/glue"] = {"eval_accuracy_mean": 0.9, "eval_accuracy_std": 0.05}
    repository.write()
    return repository
