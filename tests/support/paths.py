"""Where the project is, and what tests read beside it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGES = ROOT / "stages"
TESTS = ROOT / "tests"
ARRAYS = TESTS / "arrays"

# A folder of real data, which the project does not ship; what needs it is skipped without it.
DATA_VARIABLE = "FLAXMILL_TEST_DATA"
DATA = Path(os.environ.get(DATA_VARIABLE) or os.devnull)
SAMPLES = DATA / "huggingface-fixtures"

# A project in which `make repro` has run; what needs its models is skipped without them.
PROJECT_VARIABLE = "FLAXMILL_PROJECT"
PROJECT = Path(os.environ.get(PROJECT_VARIABLE) or ROOT)
