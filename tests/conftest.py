"""Fixtures of all tests: nothing is fetched, nothing is written outside temporary folders."""

import os
import shutil
import tempfile
from pathlib import Path

from support.paths import SAMPLES

# Before JAX and the hub's libraries are imported: they read these once.
HOME = Path(tempfile.mkdtemp(prefix="flaxmill-tests-"))
os.environ |= {
    "JAX_COMPILATION_CACHE_DIR": str(HOME / "compiled"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "XDG_CACHE_HOME": str(HOME / "cache"),
    "HF_HOME": str(HOME / "hub"),
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    # The models here are tiny, and so compiling them is what takes the time: half of it this way.
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
}

import pytest  # noqa: E402
from support import tiny  # noqa: E402


def pytest_sessionfinish():
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def tokenizer():
    """Word pieces, trained on the tiny texts."""
    return tiny.make_tokenizer()


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The folder of the tiny files."""
    return tiny.write_files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, tokenizer):
    """`checkpoint(model_type, head)`: a folder with random weights, made once."""
    made = {}

    def get(model_type: str = "bert", head: str = "masked_lm") -> Path:
        if (model_type, head) not in made:
            folder = tmp_path_factory.mktemp("checkpoints") / model_type
            made[model_type, head] = tiny.make_checkpoint(folder, model_type, tokenizer, head)
        return made[model_type, head]

    return get


@pytest.fixture(scope="session")
def trained(tmp_path_factory, files, checkpoint):
    """`trained(task)`: the folder of one tiny run that trained, evaluated and predicted."""
    made = {}

    def get(task: str) -> Path:
        if task not in made:
            file = files / tiny.FILES[task]
            folder = tmp_path_factory.mktemp("runs") / task
            test_file = files / "masked.txt" if task == "mlm" else file
            tiny.call(
                tiny.SCRIPTS[task],
                f"--model_name_or_path={checkpoint()}",
                f"--train_file={file}",
                f"--validation_file={file}",
                f"--test_file={test_file}",
                f"--output_dir={folder}",
                "--do_train",
                "--do_eval",
                "--do_predict",
                *tiny.TRAINING,
                *tiny.OWN[task],
            )
            made[task] = folder
        return made[task]

    return get


@pytest.fixture(scope="session")
def samples():
    """The reference's sample files; tests that need them are skipped where they are not."""
    if not SAMPLES.is_dir():
        pytest.skip(f"no sample files at {SAMPLES}")
    return SAMPLES
