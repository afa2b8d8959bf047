"""Whisper, a family as `stages.models` describes it; see `model.py`."""

from stages.models.whisper.model import HEADS, apply_init, build, check, max_positions
from stages.models.whisper.torch_names import architecture, names

__all__ = ["HEADS", "apply_init", "architecture", "build", "check", "max_positions", "names"]
