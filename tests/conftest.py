"""Fixtures of all tests: nothing is fetched, nothing is written outside temporary folders.

Workers of pytest-xdist share one temporary folder: what a fixture of the session makes is made
once, by the first worker that asks, and so is a compiled program.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.paths import SAMPLES, TESTS

# The first process of the session makes the folder; workers find its name in the environment.
SHARED = "FLAXMILL_TESTS_HOME"
HOME = Path(os.environ.get(SHARED) or tempfile.mkdtemp(prefix="flaxmill-tests-"))
# Before JAX and the hub's libraries are imported: they read these once.
os.environ |= {
    SHARED: str(HOME),
    "JAX_COMPILATION_CACHE_DIR": str(HOME / "compiled"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "XDG_CACHE_HOME": str(HOME / "cache"),
    "HF_HOME": str(HOME / "hub"),
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "DVC_NO_ANALYTICS": "1",
    # The models here are tiny, and so compiling them is what takes the time: half of it this way.
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
}


@pytest.fixture(autouse=True)
def settings_of_the_process():
    """What a script asks of XLA when it is called in this process is not left to other tests."""
    names = ("XLA_FLAGS", "NPROC")
    before = {name: os.environ.get(name) for name in names}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if products := sys.modules.get("stages.models.products"):
        products.use_portable_products(False)


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        shutil.rmtree(HOME, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A worker a core, as far as memory goes: one and the processes it starts take 3 GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory // (3 * 2**30), 8))


def pytest_collection_modifyitems(items):
    """Slow tests first, the longest before the others: no worker ends alone with one of them."""

    def seconds(item) -> float:
        marker = item.get_closest_marker("slow")
        return 0 if marker is None else marker.kwargs.get("seconds", 1)

    items.sort(key=seconds, reverse=True)


def make_once(name: str, make: Callable[[Path], object]) -> Path:
    """The shared folder `name`, which `make(folder)` fills if no worker has done so."""
    folder, unfinished = HOME / name, HOME / "unfinished" / name
    for path in (folder, unfinished):
        path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            # What has the name is whole, also if an earlier attempt failed.
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer():
    """Word pieces, trained on the toy texts."""
    from support import toy_models

    return toy_models.make_tokenizer()


@pytest.fixture(scope="session")
def files():
    """The folder of the toy files."""
    from support import toy_data

    return make_once("files", toy_data.write_files)


@pytest.fixture(scope="session")
def checkpoint():
    """`checkpoint(family, head)`: a folder with random weights, made once."""

    def get(family: str = "bert", head: str | None = None) -> Path:
        from support import toy_models

        def make(folder: Path) -> None:
            toy_models.make_checkpoint(folder, family, head)

        return make_once(f"checkpoints/{head or 'own'}/{family}", make)

    return get


@pytest.fixture(scope="session")
def trained(files, checkpoint):
    """`trained(task)`: the folder of one tiny run that trained, evaluated and predicted."""

    def get(task: str) -> Path:
        from support import scripts

        def make(folder: Path) -> None:
            file = files / scripts.FILES[task]
            test_file = files / scripts.TEST_FILES.get(task, scripts.FILES[task])
            scripts.call(
                scripts.SCRIPTS[task],
                f"--model_name_or_path={checkpoint(scripts.FAMILIES.get(task, 'bert'))}",
                f"--train_file={file}",
                f"--validation_file={file}",
                f"--test_file={test_file}",
                f"--output_dir={folder}",
                "--do_train",
                "--do_eval",
                "--do_predict",
                *scripts.training(task),
                *scripts.OWN[task],
            )

        return make_once(f"runs/{task}", make)

    return get


@pytest.fixture(scope="session")
def four_devices(files, checkpoint):
    """`four_devices(what)`: what `support.four_devices` did of it, in a separate process."""

    def get(what: str) -> Path:
        def make(folder: Path) -> None:
            flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
            done = subprocess.run(
                [sys.executable, "-m", "support.four_devices", what, folder, checkpoint(), files],
                cwd=TESTS,
                env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert done.returncode == 0, done.stderr

        return make_once(f"four/{what}", make)

    return get


@pytest.fixture(scope="session")
def prepared_pipeline():
    """The small pipeline up to what the tasks train on, to be copied."""
    from support import small_pipeline

    return make_once("pipeline", small_pipeline.prepare_project)


@pytest.fixture(scope="session")
def samples():
    """The reference's sample files; tests that need them are skipped where they are not."""
    if not SAMPLES.is_dir():
        pytest.skip(f"no sample files at {SAMPLES}")
    return SAMPLES
