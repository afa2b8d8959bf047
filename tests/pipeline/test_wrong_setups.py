"""Set-ups that cannot work: each is refused before the first step of training, with its key."""

import contextlib
import csv
import importlib
import io
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from support import scripts, toy_data
from support.paths import ROOT
from support.toy_speech import write_folder

from stages.core.errors import InputError, with_keys
from stages.pipeline import unroll
from stages.pipeline.model_types import family_modules
from stages.tasks.registry import TASKS

# The family of the checkpoint that each task starts from, and the settings that it needs here.
FAMILIES = {"clm": "gpt2", "t5_mlm": "t5", "summarization": "t5", "speech": "whisper"}
OWN = {
    "qa": {"version_2_with_negative": True, "max_seq_length": 48, "doc_stride": 4},
    "mlm": {"max_seq_length": 24},
    "clm": {"block_size": 16},
    "t5_mlm": {"max_seq_length": 24},
    "speech": {"enabled": True, "from_scratch": True, "max_label_length": 12},
}
STORIES = "".join(
    json.dumps({"document": one, "summary": other}) + "\n" for one, other in toy_data.STORIES
)
FILES = {
    "glue": ("csv", "pairs.csv"),
    "ner": ("json", "tags.json"),
    "qa": ("json", "nested.json"),
    "mlm": ("txt", "text.txt"),
    "t5_mlm": ("txt", "text.txt"),
    "clm": ("txt", "text.txt"),
}


def change(into: dict, dotted: str, value) -> None:
    """Set a key, given by its whole path, of nested mappings."""
    *above, key = dotted.split(".")
    for name in above:
        into = into.setdefault(name, {})
    into[key] = value


def labels_of(file: Path, name) -> None:
    """Write `name(row)` for the label of each row."""
    header, *rows = csv.reader(io.StringIO(file.read_text()))
    rows = [[*row[:-1], name(number)] for number, row in enumerate(rows)]
    with file.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])


def one_label(mine: Path) -> None:
    for split in ("train", "validation", "test"):
        labels_of(mine / f"glue/{split}.csv", lambda row: "same")


def label_of_validation(mine: Path) -> None:
    labels_of(mine / "glue/validation.csv", lambda row: "other" if row else "third")


def label_of_test(mine: Path) -> None:
    labels_of(mine / "glue/test.csv", lambda row: "third" if row else "other")


def tag_of_test(mine: Path) -> None:
    row = {"tokens": ["Bob", "stayed"], "ner_tags": ["B-ANIMAL", "O"]}
    (mine / "ner/test.json").write_text(json.dumps(row) + "\n")


def tags_of_validation(mine: Path) -> None:
    row = {"tokens": ["Bob", "stayed"], "ner_tags": ["B-ANIMAL", "O"]}
    (mine / "ner/validation.json").write_text(json.dumps(row) + "\n")


def fewer_tags(mine: Path) -> None:
    row = {"tokens": ["Bob", "stayed"], "ner_tags": ["O"]}
    (mine / "ner/train.json").write_text(json.dumps(row) + "\n")


def no_summary(mine: Path) -> None:
    (mine / "summarization/train.json").write_text('{"document": "Bob stayed ."}\n')


def no_answer(mine: Path) -> None:
    content = toy_data.squad(nested=False)
    content["data"][0]["answers"]["answer_start"] = [0]
    (mine / "qa/train.json").write_text(json.dumps(content))


def no_text(mine: Path) -> None:
    (mine / "mlm/train.txt").write_text("\n\n")


def no_clip(mine: Path) -> None:
    (mine / "speech/train/2.wav").unlink()


def no_test(mine: Path) -> None:
    (mine / "glue/test.csv").unlink()


NOTHING = {}
# {what is wrong: (the task, {key: value} to set, what happens to the files, what is said)}.
WRONG = {
    # Keys
    "a misspelt key": ("glue", {"tasks.glue.learnin_rate": 1}, None,
                       "params.yaml: tasks.glue: unknown key 'learnin_rate'; did you mean "
                       "'learning_rate'? (keys: "),
    "a misspelt key of the data": ("glue", {"tasks.glue.data.sorce": "x"}, None,
                                   "params.yaml: tasks.glue.data: unknown key 'sorce'; did you "
                                   "mean 'source'? (keys: cache_dir, "),
    "a key of another task": ("glue", {"tasks.glue.doc_stride": 8}, None,
                              "params.yaml: tasks.glue: unknown key 'doc_stride'"),
    "a misspelt task": ("glue", {"tasks.gleu": {}}, None,
                        "params.yaml: tasks: unknown key 'gleu'; did you mean 'glue'?"),
    "a misspelt gate": ("glue", {"gates.glue.eval_accuracy.mim": 1}, None,
                        "gates.glue.eval_accuracy: unknown key 'mim'; did you mean 'min'?"),
    "a baseline that there is none of": ("ner", {"gates.ner.eval_loss.beats": "baseline"}, None,
                                         "params.yaml: gates.ner.eval_loss.beats: no simple method "
                                         "has a figure of loss; of ner they have accuracy, "),
    "a misspelt section": ("glue", {"gatess": {}}, None,
                           "params.yaml: unknown key 'gatess'; did you mean 'gates'?"),
    "a key of the pipeline": ("glue", {"tasks.glue.test_file": "x.csv"}, None,
                              "params.yaml: tasks.glue.test_file is set by the pipeline"),
    "a task without seeds": ("glue", {"seeds.gleu": [7]}, None,
                             "seeds: unknown key 'gleu'; did you mean 'glue'?"),
    "the seed of the main run again": ("glue", {"seeds.glue": [42]}, None, "seeds.glue"),
    # Types and values
    "text for a number": ("glue", {"tasks.glue.max_seq_length": "long"}, None,
                          "params.yaml: tasks.glue.max_seq_length is 'long'; expected a whole"),
    "a negative seed": ("glue", {"tasks.glue.seed": -1}, None,
                        "params.yaml: tasks.glue.seed is -1; expected a whole number, >= 0"),
    "half precision": ("glue", {"tasks.glue.dtype": "float16"}, None,
                       "params.yaml: tasks.glue.dtype float16 is not offered"),
    "warm-up of a constant rate": ("glue", {"tasks.glue.lr_scheduler_type": "constant",
                                            "tasks.glue.warmup_steps": 1}, None,
                                   "params.yaml: tasks.glue.warmup_steps with "
                                   "tasks.glue.lr_scheduler_type constant: that one has no warm"),
    # Checkpoints
    "no such checkpoint": ("glue", {"tasks.glue.model_name_or_path": "start/none"}, None,
                           "params.yaml: tasks.glue.model_name_or_path: no folder 'start/none'"),
    "a decoder for classification": ("glue", {"tasks.glue.model_name_or_path": "start/gpt2"}, None,
                                     "params.yaml: tasks.glue.model_name_or_path: start/gpt2 is a "
                                     "gpt2, which has no head for glue; use one of bert, "),
    "an encoder for causal modelling": ("clm", {"tasks.clm.model_name_or_path": "start/bert"}, None,
                                        "params.yaml: tasks.clm.model_name_or_path: start/bert is "
                                        "a bert, which has no head for clm; use one of gpt2"),
    "an encoder for summaries": ("summarization",
                                 {"tasks.summarization.model_name_or_path": "start/bert"}, None,
                                 "start/bert is a bert, which has no head for summarization"),
    "a model of text for speech": ("speech", {"tasks.speech.model_name_or_path": "start/t5"}, None,
                                   "start/t5 is a t5, which has no head for speech"),
    "a tokenizer without sentinels": ("t5_mlm", {"tasks.t5_mlm.tokenizer_name": "start/bert"}, None,
                                      "start/bert has no sentinels <extra_id_0>, <extra_id_1> ..."),
    "a tokenizer of another model": ("mlm", {"tasks.mlm.tokenizer_name": "start/gpt2"}, None,
                                     "start/gpt2/tokenizer_config.json: this task needs pad_token"),
    # Lengths
    "a row beyond the positions": ("glue", {"tasks.glue.max_seq_length": 512}, None,
                                   "params.yaml: tasks.glue.max_seq_length 512 is above the "
                                   "model's 384 positions; use 384 or less"),
    "a block beyond the positions": ("clm", {"tasks.clm.block_size": 256}, None,
                                     "params.yaml: tasks.clm.block_size 256 is above the model's"),
    "a stride as long as its window": ("qa", {"tasks.qa.doc_stride": 48}, None,
                                       "params.yaml: tasks.qa.doc_stride 48 must be below "
                                       "tasks.qa.max_seq_length 48"),
    "a question longer than its window": ("qa", {"tasks.qa.max_seq_length": 8}, None,
                                          "tasks.qa.max_seq_length"),
    "a transcript beyond the positions": ("speech", {"tasks.speech.max_label_length": 64}, None,
                                          "params.yaml: tasks.speech.max_label_length 64 is above "
                                          "the model's 12 positions"),
    "all clips too short": ("speech", {"tasks.speech.min_duration_in_seconds": 5}, None,
                            "see tasks.speech.min_duration_in_seconds of params.yaml"),
    "a prefix as long as a document": ("summarization",
                                       {"tasks.summarization.source_prefix": "Bob stayed . " * 9,
                                        "tasks.summarization.max_source_length": 8}, None,
                                       "params.yaml: tasks.summarization.source_prefix"),
    # Steps and batches
    "warm-up beyond the training": ("glue", {"tasks.glue.warmup_steps": 500}, None,
                                    "params.yaml: tasks.glue.warmup_steps is 500, but the training "
                                    "has 6 steps (7 rows, 2 steps a pass, "
                                    "tasks.glue.num_train_epochs 3); give less than that, or"),
    "warm-up to the last step": ("ner", {"tasks.ner.warmup_steps": 4, "tasks.ner.max_steps": 4},
                                 None,
                                 "params.yaml: tasks.ner.warmup_steps is 4, but the training has 4 "
                                 "steps (tasks.ner.max_steps); give less than that"),
    "evaluation after the end": ("mlm", {"tasks.mlm.eval_steps": 50, "tasks.mlm.max_steps": 9},
                                 None, "params.yaml: tasks.mlm.eval_steps is 50, but the training"),
    "a report after the end": ("clm", {"tasks.clm.logging_steps": 99}, None,
                               "params.yaml: tasks.clm.logging_steps is 99, but the training has"),
    "three of these": ("qa", {"tasks.qa.max_steps": 2, "tasks.qa.warmup_steps": 3,
                              "tasks.qa.eval_steps": 4, "tasks.qa.logging_steps": 5}, None,
                       "tasks.qa.warmup_steps is 3 and tasks.qa.eval_steps is 4 and "
                       "tasks.qa.logging_steps is 5, but the training has 2 steps"),
    "spans after the end": ("mlm", {"tasks.mlm.mlm_span_start": 600, "tasks.mlm.max_steps": 9},
                            None, "params.yaml: tasks.mlm.mlm_span_start is 600, but the training"),
    "a batch of more than the rows": ("glue", {"tasks.glue.per_device_train_batch_size": 64}, None,
                                      "params.yaml: tasks.glue.per_device_train_batch_size is 64, "
                                      "but there are 7 rows to train on"),
    "an accumulated batch": ("ner", {"tasks.ner.gradient_accumulation_steps": 9}, None,
                             "tasks.ner.gradient_accumulation_steps is 9, but there are 5 rows"),
    # Columns, labels and files
    "a column that is not there": ("glue", {"tasks.glue.data.label_column_name": "stars"}, None,
                                   "mine/glue/train.csv: no column 'stars' "
                                   "(tasks.glue.data.label_column_name of params.yaml); there are"),
    "a group that was not kept": ("glue", {"tasks.glue.group_column_name": "kind"}, None,
                                  "data/glue/train.csv: no column 'kind' "
                                  "(tasks.glue.group_column_name of params.yaml); there are"),
    "a single label": ("glue", NOTHING, one_label, "'same' is the only label of the rows to train"),
    "a label of validation alone": ("glue", NOTHING, label_of_validation,
                                    "data/glue/validation.csv, line 2: the label 'third' is none"),
    "a label of the test split alone": ("glue", NOTHING, label_of_test,
                                        "data/glue/test.csv, line 3: the label 'third' is none"),
    "a tag of the test split alone": ("ner", NOTHING, tag_of_test,
                                      "data/ner/test.json, line 1, word 0: the tag 'B-ANIMAL'"),
    "a list without a label": ("glue", {"tasks.glue.label_names": "same,third"}, None,
                               "the label 'other' is none of those known: same, third"),
    "a tag of validation alone": ("ner", NOTHING, tags_of_validation, "the tag 'B-ANIMAL' is none"),
    "fewer tags than words": ("ner", NOTHING, fewer_tags, "mine/ner/train.json, line 1: 2 words"),
    "questions without answers": ("qa", {"tasks.qa.version_2_with_negative": False}, None,
                                  "tasks.qa.version_2_with_negative"),
    "an answer elsewhere": ("qa", NOTHING, no_answer, "the answer 'Paris' is not at 0"),
    "no summary": ("summarization", NOTHING, no_summary, "mine/summarization/train.json"),
    "no text": ("mlm", NOTHING, no_text, "mine/mlm/train.txt: the file is empty"),
    "no clip": ("speech", NOTHING, no_clip, "(2.wav): no such file"),
    "no test file": ("glue", NOTHING, no_test,
                     "found none; name it (params.yaml: tasks.glue.data.test_file)"),
}  # fmt: skip


@pytest.fixture
def project(tmp_path, files, checkpoint, monkeypatch):
    """A folder with data and checkpoints of all tasks, in which nothing has run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "start").mkdir()
    for family in ("bert", *sorted({*FAMILIES.values()})):
        (tmp_path / f"start/{family}").symlink_to(checkpoint(family))
    mine = tmp_path / "mine"
    for split in ("train", "validation", "test"):
        for task, (suffix, name) in FILES.items():
            (mine / task).mkdir(parents=True, exist_ok=True)
            shutil.copy(files / name, mine / f"{task}/{split}.{suffix}")
        (mine / "summarization").mkdir(exist_ok=True)
        (mine / f"summarization/{split}.json").write_text(STORIES)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    return tmp_path


def write_params(project: Path, task: str, changes: dict) -> None:
    if task == "speech":
        for split in ("train", "validation", "test"):
            write_folder(project / f"mine/speech/{split}", ["low mid", "high", "mid low"] * 2)
    source = f"mine/{task}"
    block = {
        "data": {"source": source},
        "model_name_or_path": f"start/{FAMILIES.get(task, 'bert')}",
        "per_device_train_batch_size": 4,
        **OWN.get(task, {}),
    }
    if task == "speech":
        block["data"] |= {f"{split}_file": split for split in ("train", "validation", "test")}
    params = {"tokenizers": {}, "checkpoints": {}, "seeds": {}, "tasks": {task: block}}
    for dotted, value in changes.items():
        change(params, dotted, value)
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def plan_words(task: str) -> list[str]:
    """The command of the stage `plan@TASK`, from `stages` on."""
    item = unroll.read_unrolled()["tasks"][task]
    text = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["plan"]["do"]["cmd"]
    for name, value in item.items():
        text = text.replace(f"${{item.{name}}}", str(value))
    return shlex.split(text.replace("${key}", task))[2:]


def outcome(module: str, *words: str) -> str:
    """What a command is refused with; "" if it is not."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            scripts.call(module.removeprefix("stages."), *words)
        except SystemExit as stop:
            if stop.code:
                return errors.getvalue().splitlines()[-1]
    return ""


def first_refusal(project: Path, task: str) -> str:
    """That of the stages before training, in their order; "" if there is none."""
    found = outcome("pipeline.check")
    if not found:
        scripts.call("pipeline.unroll")
        found = outcome("pipeline.fetch", task)
    return found or outcome(*plan_words(task))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setup_is_refused_before_training(name, project):
    task, changes, alter, said = WRONG[name]
    write_params(project, task, changes)
    if alter is not None:
        alter(project / "mine")
    line = first_refusal(project, task)
    assert said in line
    assert line.startswith("error: ")
    assert not (project / "models").exists()
    assert not (project / f"plans/{task}.json").exists()


@pytest.mark.parametrize("task", TASKS)
def test_a_right_setup_is_planned(task, project):
    """The negative control: nothing of the same set-up is refused, and nothing is trained."""
    write_params(project, task, {})
    assert first_refusal(project, task) == ""
    plan = json.loads((project / f"plans/{task}.json").read_text())
    assert plan["steps"] == 3 * plan["steps_per_pass"] == 3 * -(-plan["rows"] // 4)
    assert plan["rows_per_step"] == 4
    assert plan["evaluations"] == 3
    labels = {"glue": ["other", "same"], "ner": ["B-LOC", "B-PER", "I-PER", "O"]}
    assert plan["labels"] == labels.get(task)
    assert not (project / "models").exists()
    before = (project / f"plans/{task}.json").read_bytes()
    assert outcome(*plan_words(task)) == ""
    assert (project / f"plans/{task}.json").read_bytes() == before


def test_there_are_thirty_of_all_kinds():
    assert len(WRONG) >= 30
    assert {task for task, *_ in WRONG.values()} == set(TASKS)


def test_by_hand_the_flag_is_named(project, files, checkpoint):
    line = scripts.refused(
        "run_flax_glue", f"--model_name_or_path={checkpoint()}", "--output_dir=out", "--do_train",
        f"--train_file={files / 'pairs.csv'}", "--per_device_train_batch_size=4",
        "--warmup_steps=500",
    )  # fmt: skip
    assert line == (
        "error: --warmup_steps is 500, but the training has 6 steps (7 rows, 2 steps a pass, "
        "--num_train_epochs 3); give less than that, or train longer"
    )
    assert not (project / "out").exists()


def test_a_message_outside_a_command_keeps_its_flags():
    assert with_keys(str(InputError("--seed is 1"))) == "--seed is 1"


@pytest.mark.parametrize("task", TASKS)
def test_the_types_of_a_task_are_those_that_have_its_head(task):
    """The registry, which a check reads without JAX, beside the families themselves."""
    script = (ROOT / f"stages/{TASKS[task].script}.py").read_text()
    head = re.search(r'(?:HEAD = |load_model\(args, )"(\w+)"', script)[1]
    assert set(TASKS[task].model_types) == {
        kind
        for kind, module in family_modules().items()
        if head in importlib.import_module(module).HEADS
    }
