"""A path of this machine is never asked of the hub."""

from types import SimpleNamespace

import pytest

from stages import models
from stages.core.errors import InputError
from stages.core.hub_names import FOLDERS, check_hub_name
from stages.data.hub import fetch_split
from stages.models.tokenizers import load_tokenizer
from stages.tasks.speech.extractor import load_extractor

PIPELINES = [f"{folder}/glue" for folder in FOLDERS] + ["models", "data"]
PATHS = ["./models/x", "../x", "/abs/models/x", "~/x", "models/glue/", "a/b/c", "a//b", "models\\x",
         "https://huggingface.co/owner/name", "profiles/huggingface/models/glue", ""]  # fmt: skip


def as_dataset(name):
    return fetch_split(SimpleNamespace(
        dataset_name=name, dataset_config_name=None, dataset_revision=None, cache_dir="cache",
        overwrite_cache=False, token=None,
    ), "train")  # fmt: skip


OPENERS = {
    "config": models.load_config,
    "weights": lambda name: models.from_pretrained(name, "masked_lm"),
    "tokenizer": load_tokenizer,
    "extractor": load_extractor,
    "data set": as_dataset,
}


@pytest.fixture(autouse=True)
def no_hub(monkeypatch, tmp_path):
    """A folder without those of a run, and a hub that must not be asked."""
    monkeypatch.chdir(tmp_path)

    def asked(*args, **options):
        raise AssertionError(f"the hub is asked for {args}")

    monkeypatch.setattr("huggingface_hub.snapshot_download", asked)
    monkeypatch.setattr("datasets.load_dataset", asked)


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("name", PIPELINES)
def test_what_the_pipeline_has_not_made_yet(name, opener):
    with pytest.raises(InputError, match=r"no such folder; the pipeline makes it: run `dvc repro`"):
        OPENERS[opener](name)


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("name", [path for path in PATHS if path])
def test_any_other_path(name, opener):
    with pytest.raises(InputError, match="no such folder; give a local folder, or a hub id"):
        OPENERS[opener](name)


def test_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "linked").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("linked", "loop"):
        with pytest.raises(InputError, match=f"{name}: is a link that leads nowhere"):
            models.load_config(name)


@pytest.mark.parametrize("name", ["gpt2", "owner/name", "owner/models", "modelsx/glue", "a.b/c-d"])
def test_names_of_the_hub(name):
    check_hub_name(name)


def test_the_message_begins_with_the_flag_and_is_short():
    with pytest.raises(InputError, match=r"^--dataset_name data/x: no such folder") as error:
        check_hub_name("data/x", "--dataset_name ")
    with pytest.raises(InputError) as error:
        check_hub_name("/" + "x" * 10**6)
    assert len(str(error.value)) < 400
