"""Input that cannot be used: one line with the place and the remedy, and nothing lost."""

import json
import re
import shutil

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file
from support import scripts, toy_data, toy_models


@pytest.fixture
def run(files, checkpoint, tmp_path):
    """`run(task, ...)`: a training that must be refused, into a folder that holds something."""

    def refused(task, *flags, **given):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        (out / "model.safetensors").write_bytes(b"an earlier one")
        (out / "eval_results.json").write_text("{}")
        before = scripts.tree(out)
        file = files / scripts.FILES[task]
        named = {
            "model_name_or_path": checkpoint(), "train_file": file, "validation_file": file,
            "output_dir": out, **given,
        }  # fmt: skip
        words = [f"--{name}={value}" for name, value in named.items() if value is not None]
        line = scripts.refused(
            scripts.SCRIPTS[task], *words, *scripts.TRAINING, *scripts.OWN[task], *flags
        )
        assert scripts.tree(out) == before
        return line

    return lambda task, *flags, **given: refused(task, "--do_train", "--do_eval", *flags, **given)


def squad(change):
    content = toy_data.squad(nested=False)
    change(content["data"])
    return json.dumps(content, indent=1)


HEAD = "sentence1,sentence2,label\n"
TAGGED = '{"tokens": ["Bob", "stayed"], "ner_tags": ["B-PER", "O"]}\n'
FILES = {
    "missing column": ("glue", "a.csv", "sentence1,sentence2,label\na,b,c\n",
                       ["--label_column_name=kind"],
                       "a.csv: no column 'kind' (--label_column_name); there are 'sentence1'"),
    "missing column ner": ("ner", "a.json", TAGGED, ["--text_column_name=words"],
                           "a.json: no column 'words' (--text_column_name)"),
    "missing key qa": ("qa", "a.json", squad(lambda rows: rows[1].pop("question")), [],
                       "'question' is missing; expected text"),
    "empty": ("glue", "a.csv", "", [], "a.csv: the file is empty"),
    "empty mlm": ("mlm", "a.txt", " \n\n", [], "a.txt: the file is empty"),
    "empty ner": ("ner", "a.json", "\n", [], "a.json: the file is empty"),
    "empty qa": ("qa", "a.json", "", [], "a.json: the file is empty"),
    "no rows": ("glue", "a.csv", HEAD, [], "a.csv: no row below the header"),
    "unequal csv": ("glue", "a.csv", HEAD + "a,b,x\na,b\n", [],
                    "a.csv, line 3: 2 cells, but the header names 3"),
    "unequal ner": ("ner", "a.json", TAGGED + '{"tokens": ["Bob"], "ner_tags": ["O", "O"]}\n', [],
                    "a.json, line 2: 1 words but 2 tags"),
    "broken lines": ("ner", "a.json", TAGGED + '{"tokens": ["Bob"\n', [],
                     "a.json, line 2: not JSON"),
    "broken document": ("qa", "a.json", '{\n "data": [\n  {"id" 3}\n ]\n}', [],
                        "a.json, line 3: not JSON"),
    "answer elsewhere": (
        "qa", "a.json", squad(lambda rows: rows[0]["answers"].update(answer_start=[3])), [],
        "question 'q1': the answer 'Paris' is not at 3 of the context; there is 'ce Ra'"),
    "not utf-8": ("glue", "a.csv", HEAD.encode() + b"a,b,x\ncaf\xe9,b,x\n", [],
                  "a.csv, line 3, byte 35: not UTF-8; save the file as UTF-8"),
    "not utf-8 mlm": ("mlm", "a.txt", b"one\ntwo\xff\n", [],
                      "a.txt, line 2, byte 7: not UTF-8; save the file as UTF-8"),
    "no such file": ("mlm", None, None, [], "nothing.txt: no such file"),
    "unknown kind": ("glue", "a.xlsx", "x", [], "expected .csv, .tsv, .json, .jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("split", ["train_file", "validation_file"])
@pytest.mark.parametrize("name", FILES)
def test_a_file(name, split, run, tmp_path):
    task, file, content, flags, said = FILES[name]
    path = tmp_path / (file or "nothing.txt")
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    # A column that is named must be in both files.
    given = ("train_file", "validation_file") if flags else (split,)
    assert said in run(task, *flags, **dict.fromkeys(given, path))


@pytest.mark.parametrize(
    ("task", "content", "said"),
    [
        ("glue", HEAD + "a,b,same\na,b,else\n",
         "line 3: the label 'else' is none of those known: other, same"),
        ("ner", TAGGED + '{"tokens": ["Bob"], "ner_tags": ["B-ORG"]}\n',
         "line 2, word 0: the tag 'B-ORG' is none of those known: B-LOC, B-PER, I-PER, O"),
    ],
)  # fmt: skip
def test_a_label_that_training_does_not_know(task, content, said, run, trained, tmp_path):
    path = tmp_path / ("a.csv" if task == "glue" else "a.json")
    path.write_text(content)
    assert said in run(task, validation_file=path)
    # And so for a trained folder.
    line = scripts.refused(
        scripts.SCRIPTS[task], f"--model_name_or_path={trained(task)}", f"--validation_file={path}",
        f"--output_dir={tmp_path / 'none'}", "--do_eval",
    )  # fmt: skip
    assert said in line
    assert not (tmp_path / "none").exists()


def test_text_of_which_the_tokenizer_knows_nothing(run, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\x01\n")
    assert "a.txt: the tokenizer finds no token in the text" in run("mlm", train_file=path)


def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "model")


@pytest.mark.parametrize("task", scripts.ENCODER_TASKS)
def test_a_model_folder(task, run, checkpoint, tmp_path):
    folder = copy(checkpoint(), tmp_path)
    weights = folder / "model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    assert "no model.safetensors, and only safetensors are read" in run(
        task, model_name_or_path=folder
    )
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")
    line = run(task, model_name_or_path=folder)
    assert "only pytorch_model.bin, which is not read" in line
    assert "save_pretrained it to safetensors" in line
    weights.write_bytes(kept)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "bloom"}))
    assert "model_type 'bloom' is not supported; supported: bert" in run(
        task, model_name_or_path=folder
    )
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
    assert "is not one of gpt2's: causal_lm" in run(task, model_name_or_path=folder)
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 24}))
    assert "give weights that belong to config.json" in run(task, model_name_or_path=folder)
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 12}))
    run(task, model_name_or_path=folder)
    assert "no/such/folder: no such folder; give" in run(task, model_name_or_path="no/such/folder")
    line = run(task, model_name_or_path="owner/name")  # there is no network in the tests
    assert "owner/name: no such folder, and not reached on the hub" in line


def test_a_tokenizer(run, checkpoint, tmp_path, tokenizer):
    folder = copy(checkpoint(), tmp_path)
    (folder / "tokenizer.json").write_text("{")
    line = run("mlm", model_name_or_path=folder)
    assert f"tokenizer {folder}: cannot be loaded" in line
    assert "--tokenizer_name" in line
    larger = toy_models.make_tokenizer(130)
    larger.save_pretrained(tmp_path / "larger")
    line = run("glue", tokenizer_name=tmp_path / "larger")
    assert f"has {len(larger)} pieces, the model's vocabulary {len(tokenizer)}" in line


@pytest.mark.parametrize("task", scripts.ENCODER_TASKS)
def test_rows_longer_than_the_model(task, run):
    line = run(task, "--max_seq_length=385")
    assert "--max_seq_length 385 is above the model's 384 positions; use 384 or less" in line


@pytest.mark.parametrize("task", scripts.ENCODER_TASKS)
def test_a_folder_that_is_not_empty(task, files, checkpoint, tmp_path):
    (tmp_path / "kept").write_text("x")
    common = [f"--model_name_or_path={checkpoint()}", f"--train_file={files / scripts.FILES[task]}",
              "--do_train", *scripts.OWN[task]]  # fmt: skip
    line = scripts.refused(scripts.SCRIPTS[task], f"--output_dir={tmp_path}", *common)
    assert line == (
        f"error: --output_dir {tmp_path} is not empty; add --overwrite_output_dir, or name another"
    )
    assert scripts.tree(tmp_path) == {"kept": b"x"}
    line = scripts.refused(scripts.SCRIPTS[task], f"--output_dir={tmp_path / 'kept'}", *common)
    assert line == f"error: --output_dir {tmp_path / 'kept'} is a file; name a folder"


@pytest.mark.parametrize("task", scripts.ENCODER_TASKS)
@pytest.mark.parametrize("mode", ["--do_eval", "--do_predict"])
def test_a_checkpoint_of_another_task(task, mode, files, checkpoint, tmp_path):
    head = "token_classification" if task != "ner" else "sequence_classification"
    folder = checkpoint("bert", head)
    file = files / ("masked.txt" if task == "mlm" else scripts.FILES[task])
    line = scripts.refused(
        scripts.SCRIPTS[task], f"--model_name_or_path={folder}", f"--validation_file={file}",
        f"--test_file={file}", f"--output_dir={tmp_path / 'none'}", mode, *scripts.OWN[task],
    )  # fmt: skip
    assert line.startswith(f"error: {folder}: its config.json names ")
    assert line.endswith("; train first (--do_train)")
    assert not (tmp_path / "none").exists()


def test_a_loss_that_is_no_number(run, checkpoint, tmp_path):
    folder = copy(checkpoint(), tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.embeddings.LayerNorm.weight"] *= np.float32(3e38)
    save_file(tensors, folder / "model.safetensors")
    line = run("mlm", model_name_or_path=folder, run_dir=tmp_path / "times")
    assert "the loss is nan at step 1; try a lower learning_rate or more warmup_steps" in line


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("learnin_rate", 1, "p.yaml: tasks.glue: unknown key 'learnin_rate'; did you mean"),
        ("seed", "x", "p.yaml: tasks.glue.seed is 'x'; expected a whole number"),
        ("learning_rate", -1, "p.yaml: tasks.glue.learning_rate is -1; expected a number, > 0"),
    ],
)
def test_params_of_a_script(key, value, said, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"tasks": {"glue": {key: value}}}))
    files = {"params": "tasks.glue", "params_file": "p.yaml", "learning_rate": None}
    # None of the flags may stand in for the key.
    monkeypatch.setattr(scripts, "TRAINING", ("--overwrite_output_dir",))
    assert said in run("glue", **files)


PATHS = {
    "too long": ("x" * 5000, "File name too long"),
    "a circle": ("loop", "symbolic links|leads nowhere|File exists"),
    "below a file": ("file/x", "Not a directory|no such folder"),
}


@pytest.mark.parametrize("flag", ["model_name_or_path", "tokenizer_name", "output_dir",
                                   "plots_dir", "run_dir"])  # fmt: skip
@pytest.mark.parametrize("name", PATHS)
def test_a_path_that_is_none(flag, name, files, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    path, said = PATHS[name]
    given = {"model_name_or_path": checkpoint(), "train_file": files / "pairs.csv",
             "output_dir": "out", flag: path}  # fmt: skip
    words = [f"--{key}={value}" for key, value in given.items()]
    line = scripts.refused("run_flax_glue", "--do_train", *words, *scripts.TRAINING)
    assert re.search(said, line)
    assert len(line) < 2100


def test_an_output_folder_that_is_a_link_to_nowhere(files, checkpoint, tmp_path):
    (tmp_path / "link").symlink_to("gone")
    line = scripts.refused(
        "run_flax_glue", "--do_train", f"--model_name_or_path={checkpoint()}",
        f"--train_file={files / 'pairs.csv'}", f"--output_dir={tmp_path / 'link'}",
        *scripts.TRAINING,
    )  # fmt: skip
    assert "link is a link that leads nowhere; name a folder" in line
