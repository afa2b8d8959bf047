"""BERT and its relatives; see `model.py`."""

from stages.models.bert.model import (
    HEADS,
    architecture,
    arrange,
    build,
    check,
    max_positions,
    names,
)

__all__ = ["HEADS", "architecture", "arrange", "build", "check", "max_positions", "names"]
