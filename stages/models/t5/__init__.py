"""T5, a family as `stages.models` describes it; see `model.py`."""

from stages.models.t5.check import check
from stages.models.t5.model import HEADS, apply_init, build, max_positions
from stages.models.t5.torch_names import architecture, names

__all__ = ["HEADS", "apply_init", "architecture", "build", "check", "max_positions", "names"]
