"""Fine-tune and evaluate with our script, as in a default install: one side of `compare.py`.

    python flaxmill.py run_flax_ner --model_name_or_path FOLDER ... (the script's flags)

This environment has torch for the other side, and transformers imports it if it is installed, for
some seconds and some hundred megabytes. A default install has no torch, so it is hidden here.
"""

import runpy
import sys
from importlib.machinery import PathFinder


class WithoutTorch(PathFinder):
    """The usual finder, for which torch is not installed."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        """As `PathFinder` does; None for torch."""
        return None if fullname == "torch" else super().find_spec(fullname, path, target)


if __name__ == "__main__":
    sys.meta_path[:] = [WithoutTorch if it is PathFinder else it for it in sys.meta_path]
    runpy.run_module(f"stages.{sys.argv.pop(1)}", run_name="__main__", alter_sys=True)
