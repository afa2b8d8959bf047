"""The eight commands of the reference, as they stand: scripts imported with `stages/` on the path.

But for the model, which is a tiny one of the same family. The sample files are the reference's;
where they are not, all but speech is skipped.
"""

import importlib
import sys

import pytest
from safetensors.numpy import load_file
from support import scripts
from support.paths import STAGES
from support.reference_commands import COMMANDS
from support.toy_speech import make_clips

# What each command is judged by, and the values that it may have.
METRICS = {
    "glue": {"eval_accuracy": 1},
    "clm": {"eval_perplexity": 1e6},
    "summarization": {
        "test_rouge1": 100,
        "test_rouge2": 100,
        "test_rougeL": 100,
        "test_rougeLsum": 100,
    },
    "mlm": {"eval_perplexity": 1e6, "eval_accuracy": 1},
    "t5_mlm": {"eval_accuracy": 1},
    "ner": {"eval_accuracy": 1, "eval_f1": 1},
    "qa": {"eval_f1": 100, "eval_exact": 100},
    "speech": {"eval_wer": 100},
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """The folder of a data set of audio."""
    return make_clips(tmp_path_factory.mktemp("clips"))


@pytest.mark.parametrize(
    "task",
    [task if task == "glue" else pytest.param(task, marks=pytest.mark.slow) for task in COMMANDS],
)
def test_a_command_of_the_reference(task, checkpoint, clips, tmp_path, monkeypatch, request):
    script, family, flags = COMMANDS[task]
    samples = clips if task == "speech" else request.getfixturevalue("samples")
    words = flags.replace("F/", f"{samples}/").replace("name D ", f"name {clips} ").split()
    folder, out = checkpoint(family), tmp_path / "out"
    monkeypatch.syspath_prepend(STAGES)
    monkeypatch.setattr(
        sys,
        "argv",
        [f"{script}.py", "--model_name_or_path", str(folder), f"--output_dir={out}", *words],
    )
    monkeypatch.delitem(sys.modules, script, raising=False)
    importlib.import_module(script).main()

    assert scripts.results(out, "train")["train_samples"] > 4
    found = scripts.results(out) | (scripts.results(out, "test") if "--do_predict" in words else {})
    assert found["eval_samples"] > 4
    for name, most in METRICS[task].items():
        assert 0 <= found[name] <= most
    before, after = (load_file(path / "model.safetensors") for path in (folder, out))
    same = [name for name in before.keys() & after.keys() if (before[name] == after[name]).all()]
    assert len(same) < len(before) / 2
    assert (out / "config.json").is_file()
    assert (out / "tokenizer.json").is_file()
    assert f"{samples}" in (out / "README.md").read_text()
