"""How to use a model, on its card. `test_predict` and `parity/test_cards` run the lines."""

import pytest

from stages.tasks.glue.arguments import GlueArguments
from stages.training.usage import usage

LEAST = {"model_name_or_path": "m", "output_dir": "out/it", "do_train": True, "train_file": "t"}
HEAD = ("sequence_classification", "text-classification", (None,))


@pytest.mark.parametrize(
    ("given", "name"),
    [({}, "out/it"), ({"push_to_hub": True, "hub_model_id": "owner/it"}, "owner/it")],
)
def test_the_lines_name_the_folder_or_where_its_copy_goes(given, name):
    kept = {"text_pair_column_name": None, "max_seq_length": 64}
    text = usage(GlueArguments(**LEAST, **given), kept, *HEAD)
    assert f'stages.predict {name} --text "The bridge was closed."\n' in text
    assert f'pipeline("text-classification", model="{name}")' in text
    assert 'model("The bridge was closed.", truncation=True, max_length=64)' in text


def test_a_pair_is_two_texts():
    text = usage(GlueArguments(**LEAST), {"text_pair_column_name": "b"}, *HEAD)
    assert text.count("--text ") == 2
    assert 'model({"text": "The bridge was closed.", "text_pair": "Nobody could cross."})' in text
