"""The model card of a trained model."""

import hashlib

import pytest
from huggingface_hub import ModelCard
from support import scripts


@pytest.fixture(scope="module")
def card(checkpoint, files, tmp_path_factory):
    """Where a small training wrote its card, and the arguments of its files."""
    folder = tmp_path_factory.mktemp("card") / "out"
    file = files / scripts.FILES["glue"]
    scripts.call(
        scripts.SCRIPTS["glue"],
        f"--model_name_or_path={checkpoint()}",
        f"--train_file={file}",
        f"--validation_file={file}",
        f"--output_dir={folder}",
        "--do_train",
        "--do_eval",
        "--data_license=CC-BY-4.0",
        "--token=a-secret",
        *scripts.TRAINING,
        *scripts.OWN["glue"],
    )
    return folder, file


def test_data_without_a_licence_have_none(trained):
    text = (trained("glue") / "README.md").read_text()
    assert "Licence of the data: none is stated; `data_license` states one." in text
    assert "CC0" not in text


def test_it_says_what_the_model_was_made_from(card):
    folder, file = card
    text = (folder / "README.md").read_text()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert f"| train | `{file}` |" in text
    assert text.count(digest) == 2
    assert "Licence of the data: CC-BY-4.0." in text
    assert "| jax | " in text
    assert "a-secret" not in text


def test_the_hub_can_read_it(card):
    data = ModelCard.load(card[0] / "README.md").data
    assert data.pipeline_tag == "text-classification"
    assert data.library_name == "transformers"
    assert data.base_model is None  # a folder of this machine means nothing there


def test_its_metrics_are_those_of_the_saved_weights(card):
    text = (card[0] / "README.md").read_text()
    for split in ("train", "eval"):
        for name, value in scripts.results(card[0], split).items():
            if not name.endswith("_samples"):
                assert f"| {name} | {value:.6g} |" in text
