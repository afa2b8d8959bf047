"""BERT and its relatives, a family as `stages.models` describes it; see `model.py`."""

from stages.models.bert.model import (
    HEADS,
    apply_init,
    architecture,
    build,
    check,
    max_positions,
    names,
)

__all__ = ["HEADS", "apply_init", "architecture", "build", "check", "max_positions", "names"]
