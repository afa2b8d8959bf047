"""Arguments: flags, a JSON file, params.yaml, defaults; every way to get one wrong."""

import json
import re

import pytest

from stages.core.arguments import parse
from stages.core.errors import InputError, command
from stages.core.params import read_params
from stages.core.schema import field_type
from stages.tasks.glue.arguments import GlueArguments
from stages.tasks.mlm.arguments import MlmArguments
from stages.tasks.ner.arguments import NerArguments
from stages.tasks.qa.arguments import QaArguments
from stages.tasks.speech.arguments import SpeechArguments
from stages.training.arguments import CommonArguments

CLASSES = {
    "glue": GlueArguments,
    "mlm": MlmArguments,
    "ner": NerArguments,
    "qa": QaArguments,
    "speech": SpeechArguments,
}
LEAST = ("--model_name_or_path=m", "--output_dir=o", "--do_train", "--train_file=t")


@pytest.fixture
def params(tmp_path, monkeypatch):
    """Write params.yaml in the working folder."""
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "params.yaml").write_text(text)

    return write


@pytest.fixture
def flags_file(tmp_path):
    def write(content, name="flags.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def of(*flags, cls=GlueArguments):
    return parse(cls, "text", [*LEAST, *flags])


def refusal(*flags, cls=GlueArguments, least=LEAST):
    with pytest.raises(InputError) as caught:
        parse(cls, "text", [*least, *flags])
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_precedence(params, flags_file):
    params("tasks: {glue: {seed: 1, warmup_steps: 1, logging_steps: 1, data: {anything: 1}}}")
    file = flags_file({"seed": 2, "warmup_steps": 2})
    args = of(file, "--params=tasks.glue", "--seed=3")
    assert (args.seed, args.warmup_steps, args.logging_steps, args.save_steps) == (3, 2, 1, 500)
    # Wherever the file stands among the flags, and whatever the order.
    args = parse(GlueArguments, "", ["--seed", "3", *LEAST, "--params", "tasks.glue", file])
    assert (args.seed, args.warmup_steps, args.logging_steps) == (3, 2, 1)


def test_defaults_are_those_of_the_reference():
    args = of()
    found = args.as_dict()
    expected = {
        "per_device_train_batch_size": 8, "per_device_eval_batch_size": 8, "learning_rate": 5e-5,
        "weight_decay": 0.0, "adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8,
        "num_train_epochs": 3.0, "warmup_steps": 0, "logging_steps": 500, "save_steps": 500,
        "eval_steps": None, "seed": 42, "do_eval": False, "do_predict": False,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert of(cls=MlmArguments).mlm_probability == 0.15
    qa = of(cls=QaArguments)
    assert (qa.max_seq_length, qa.doc_stride, qa.n_best_size, qa.max_answer_length) == (
        384,
        128,
        20,
        30,
    )


def test_a_number_without_a_point(params, flags_file):
    params("tasks:\n  glue:\n    learning_rate: 1e-5\n    max_steps: 1e3\n")
    assert read_params()["tasks"]["glue"] == {"learning_rate": 1e-5, "max_steps": 1000}
    args = of("--params", "tasks.glue")
    assert (args.learning_rate, args.max_steps) == (1e-5, 1000)
    assert isinstance(args.max_steps, int)
    assert of("--learning_rate", "1e-5").learning_rate == 1e-5
    assert of(flags_file({"learning_rate": "1e-5", "seed": 7.0})).learning_rate == 1e-5


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--do_eval", True), ("--do_eval=false", False), ("--do_eval=True", True),
     ("--do_eval=0", False), ("--do_eval=yes", True)],
)  # fmt: skip
def test_truth_values(flag, value):
    assert of(flag, "--validation_file=v").do_eval is value


@pytest.mark.parametrize("task", CLASSES)
def test_the_environment_is_no_source(task, params, tmp_path, monkeypatch):
    """Else LANGUAGE=en_US, say, would choose what a Whisper hears."""
    params("tasks: {it: {}}")
    without = of("--params=tasks.it", cls=CLASSES[task]).model_dump(exclude={"token"})
    (tmp_path / ".env").write_text("SEED=7\n")
    values = {"bool": "true", "float": "0.5", "int": "7", "str": "en_US"}
    for name, field in CLASSES[task].model_fields.items():
        value = values.get(field_type(field).__name__, "7")
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.upper(), value)
    args = of("--params=tasks.it", cls=CLASSES[task])
    assert args.model_dump(exclude={"token"}) == without
    assert args.token is args.hub_token is None
    assert args.seed == 42


def test_a_truth_value_takes_its_word_but_no_flag(flags_file):
    assert of("--do_eval", "false").do_eval is False
    assert of("--from_scratch=false").from_scratch is of("--from_scratch=no").from_scratch is False
    assert of("--from_scratch").from_scratch is True
    assert of("--overwrite_output_dir", "--seed", "1").overwrite_output_dir is True
    assert of(flags_file({"do_eval": False})).do_eval is False


def test_a_flag_negative_or_empty_of_value():
    args = of("--null_score_diff_threshold", "-1.5", "--eval_steps=none", cls=QaArguments)
    assert (args.null_score_diff_threshold, args.eval_steps) == (-1.5, None)
    assert of("--null_score_diff_threshold=-1e-5", cls=QaArguments).null_score_diff_threshold < 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--learnin_rate=1"], "unknown flag --learnin_rate=1; did you mean '--learning_rate'?"),
        (["--learnin_rate", "1"], "unknown flag --learnin_rate; did you mean '--learning_rate'?"),
        (["--learning"], "unknown flag --learning; did you mean '--learning_rate'?"),
        (["--overwrite_output"], "did you mean '--overwrite_output_dir'?"),
        (["--zzz"], "unknown flag --zzz"),
        (["--seed"], "argument --seed: expected one argument (see --help)"),
        (["--seed=many"], "--seed is 'many'; expected a whole number, >= 0 and <= 2.14748e+09"),
        (["--seed=1.5"], "--seed is '1.5'; expected a whole number"),
        (["--seed=-1"], "--seed is '-1'; expected a whole number, >= 0"),
        (["--seed=none"], "--seed has no value; expected a whole number"),
        (["--do_eval=maybe"], "--do_eval is 'maybe'; expected true or false"),
        (["--learning_rate=0"], "--learning_rate is '0'; expected a number, > 0"),
        (["--learning_rate=nan"], "--learning_rate is 'nan'; expected a number"),
        (["--learning_rate=fast"], "--learning_rate is 'fast'; expected a number, > 0"),
        (["--adam_beta1=1"], "--adam_beta1 is '1'; expected a number, >= 0 and < 1"),
        (["--num_train_epochs=0"], "--num_train_epochs is '0'; expected a number, > 0"),
        (["--eval_steps=0"], "--eval_steps is '0'; expected a whole number, >= 1"),
        (["--task_name=foo"], "--task_name is 'foo'; expected one of cola, mnli, mrpc"),
        (["--max_seq_length=2"], "--max_seq_length is '2'; expected a whole number, >= 4"),
        (["flags.yaml"], "'flags.yaml' is neither a flag nor a JSON file of flags"),
    ],
)  # fmt: skip
def test_a_flag_that_cannot_be(flags, said):
    assert said in refusal(*flags)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tasks: {glue: {learnin_rate: 1}}",
         "params.yaml: tasks.glue: unknown key 'learnin_rate'; did you mean 'learning_rate'?"),
        ("tasks: {glue: {seed: many}}",
         "params.yaml: tasks.glue.seed is 'many'; expected a whole number, >= 0"),
        ("tasks: {glue: {seed: true}}", "tasks.glue.seed is True; expected a whole number"),
        ("tasks: {glue: {seed: [1]}}", "tasks.glue.seed is [1]; expected a whole number"),
        ("tasks: {glue: {seed:}}", "tasks.glue.seed has no value; expected a whole number"),
        ("tasks: {glue: {do_eval: 1}}", "tasks.glue.do_eval is 1; expected true or false"),
        ("tasks: {glue: {cache_dir: 3}}", "glue.cache_dir is 3; expected text, in quotation marks"),
        ("tasks: {glue: {model_revision: 12345e7}}", "is 123450000000.0; expected text, in quot"),
        ("[" * 5000, "params.yaml: nested too deeply"),
        ("tasks: {glue: {learning_rate: .inf}}", "tasks.glue.learning_rate is inf; expected a num"),
        (f"tasks: {{glue: {{seed: 1{'0' * 400}}}}}", "tasks.glue.seed is 1000"),
        ("tasks: {glue: {seed: 1, seed: 2}}", "params.yaml, line 1: the key 'seed' is given twice"),
        ("tasks:\n  glue: {seed: 1}\n  glue: {}\n",
         "params.yaml, line 3: the key 'glue' is given twice"),
        ("tasks:\n  glue:\n    seed: 1\n   lr: 2\n", "params.yaml, line 4: "),
        ("tasks:\n\tglue: {}\n", "params.yaml, line 2: "),
        ("tasks: {glue: {seed: 2001-13-45}}", "put the value in quotation marks"),
        ("tasks: {glu: {}}", "params.yaml: no 'glue' under tasks; did you mean 'glu'?"),
        ("tasks: {glue: 3}", "params.yaml: tasks.glue is not a mapping"),
        ("", "params.yaml: expected a mapping at the top"),
    ],
)  # fmt: skip
def test_a_parameter_file_that_cannot_be(params, text, said):
    params(text)
    assert said in refusal("--params=tasks.glue")


def test_what_is_merged_in_may_be_overwritten(params):
    params("base: &base {seed: 1, warmup_steps: 2}\ntasks: {glue: {<<: *base, seed: 3}}\n")
    args = of("--params=tasks.glue")
    assert (args.seed, args.warmup_steps) == (3, 2)


def test_a_parameter_file_that_is_none(params, tmp_path):
    params("")
    assert "x.yaml: no such file" in refusal("--params=tasks.glue", "--params_file=x.yaml")
    assert "cannot be read" in refusal("--params=tasks.glue", f"--params_file={tmp_path}")
    (tmp_path / "params.yaml").write_bytes(b"tasks: {glue: {}} # \xff")
    assert "params.yaml: not UTF-8 at byte 20" in refusal("--params=tasks.glue")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{\n "seed": 1\n "save_steps": 2}', "flags.json, line 3: not JSON"),
        ("", "flags.json, line 1: not JSON"),
        ("[1]", "flags.json is not a mapping of names to values"),
        ({"sed": 1}, "flags.json: unknown key 'sed'; did you mean 'seed'?"),
        ({"seed": "x"}, "flags.json: seed is 'x'; expected a whole number"),
        ({"dataset_config": "a", "dataset_config_name": "b"}, "are the same; give one of them"),
    ],
)
def test_a_file_of_flags_that_cannot_be(flags_file, content, said):
    assert said in refusal(flags_file(content))


def test_a_file_of_flags_that_is_none(tmp_path):
    assert "none.json: no such file" in refusal("none.json")
    (tmp_path / "f.json").write_bytes(b'{"seed": "\xff"}')
    assert "f.json: not UTF-8 at byte 10" in refusal(str(tmp_path / "f.json"))
    (tmp_path / "folder.json").mkdir()
    assert "folder.json: is a directory" in refusal(str(tmp_path / "folder.json"))


def test_an_alias_everywhere(params, flags_file):
    least = ("--model_name_or_path=m", "--output_dir=o", "--do_eval", "--dataset_name=d")
    assert parse(GlueArguments, "", [*least, "--dataset_config=c"]).dataset_config_name == "c"
    file = flags_file({"dataset_config": "c"})
    assert parse(GlueArguments, "", [*least, file]).dataset_config_name == "c"
    params("tasks: {glue: {dataset_config: c}}")
    assert parse(GlueArguments, "", [*least, "--params=tasks.glue"]).dataset_config_name == "c"
    args = parse(GlueArguments, "", [*least, "--params=tasks.glue", "--dataset_config_name=x"])
    assert args.dataset_config_name == "x"


def test_whispers_task_is_speech_task_in_the_parameter_file(params, flags_file):
    """There `task` says which of the eight tasks runs."""
    params("tasks: {it: {task: speech, speech_task: translate}, bad: {task: translate}}")
    assert of("--params=tasks.it", cls=SpeechArguments).task == "translate"
    for flag in ("--task", "--speech_task"):
        args = of("--params=tasks.it", f"{flag}=transcribe", cls=SpeechArguments)
        assert args.task == args.as_dict()["task"] == "transcribe"
    assert of(flags_file({"task": "translate"}), cls=SpeechArguments).task == "translate"
    assert refusal("--params=tasks.bad", cls=SpeechArguments) == (
        "params.yaml: tasks.bad.task is 'translate'; task says which of the eight tasks runs; "
        "write speech_task for Whisper's"
    )
    # A choice of that name is no missing value.
    assert of("--normalisation=none", cls=SpeechArguments).normalisation == "none"


def test_secrets_are_written_nowhere():
    args = of("--token=hf_a", "--push_to_hub", "--hub_token=hf_b")
    assert (args.token, args.hub_token) == ("hf_a", "hf_b")
    assert "hf_" not in repr(args) + str(args.as_dict())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--dtype=float16"], "--dtype float16 is not offered: small gradients vanish in it"),
        (["--adafactor", "--weight_decay=0.1"], "--weight_decay belongs to AdamW; leave it out"),
        (["--adafactor", "--adam_beta2=0.98"], "--adam_beta2 belongs to AdamW; leave it out"),
        (["--adafactor", "--muon"], "--muon with --adafactor: choose one of them"),
        (["--lr_scheduler_type=constant", "--warmup_steps=2"], "use constant_with_warmup"),
        (["--lr_scheduler_type=polynomial", "--learning_rate=1e-7"], "--learning_rate 1e-07 with"),
        (["--lr_scheduler_type=step"], "--lr_scheduler_type is 'step'; expected one of linear,"),
        (["--gradient_accumulation_steps=0"], "--gradient_accumulation_steps is '0'; expected a"),
        (["--load_best_model_at_end"], "--load_best_model_at_end needs --validation_file"),
        (["--early_stopping_patience=2"], "--early_stopping_patience needs --validation_file"),
        (["--metric_for_best_model=f1"], "--metric_for_best_model needs --load_best_model_at_end"),
        (["--greater_is_better=false"], "--greater_is_better needs --load_best_model_at_end"),
        (["--early_stopping_threshold=1"], "_threshold needs --early_stopping_patience"),
        (["--do_eval"], "--validation_file is missing: evaluation was asked for"),
        (["--do_predict"], "--test_file is missing: prediction was asked for"),
        (["--dataset_name=d"], "--dataset_name and files exclude each other"),
        (["--hub_model_id=a/b"], "--hub_model_id and --hub_token need --push_to_hub"),
        (["--output_dir="], "--output_dir is missing"),
        (["--model_name_or_path=none"], "--model_name_or_path is missing"),
        (["--train_file=none"], "--train_file is missing: training was asked for"),
    ],
)
def test_values_that_contradict_each_other(flags, said):
    assert said in refusal(*flags)


def test_how_the_best_is_chosen_matters_to_training_alone():
    """The evaluation of a finished model reads the same section of the parameter file."""
    flags = ("--load_best_model_at_end", "--metric_for_best_model=f1", "--greater_is_better=no")
    least = ("--model_name_or_path=m", "--output_dir=o", "--do_predict", "--test_file=t")
    args = parse(GlueArguments, "", [*least, *flags])
    assert (args.metric_for_best_model, args.greater_is_better) == ("f1", False)
    assert of(*flags, "--validation_file=v").do_eval is False


def test_a_stride_as_long_as_the_window():
    said = refusal("--doc_stride=64", "--max_seq_length=64", cls=QaArguments)
    assert said == "--doc_stride 64 must be below --max_seq_length 64"


@pytest.mark.parametrize("task", CLASSES)
def test_no_mode(task):
    least = ("--model_name_or_path=m", "--output_dir=o", "--train_file=t", "--validation_file=v")
    if task == "glue":
        args = parse(GlueArguments, "", list(least))
        assert (args.do_train, args.do_eval, args.do_predict) == (True, True, False)
    else:
        said = refusal(cls=CLASSES[task], least=least)
        assert said == "nothing to do; add --do_train, --do_eval or --do_predict"


def test_remote_code_never_runs_and_that_is_said(capsys):
    assert of("--trust_remote_code").trust_remote_code
    assert "code from a hub is never run" in capsys.readouterr().out
    of()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("task", CLASSES)
def test_help_lists_every_field(task, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(CLASSES[task], "What it does", ["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "What it does" in text
    for name, field in CLASSES[task].model_fields.items():
        assert f"--{name}" in text
        assert " ".join(field.description.split())[:40] in text
    assert "peak learning rate (default 5e-05)" in text
    assert "--dataset_config " in text


@pytest.mark.parametrize("task", CLASSES)
def test_help_is_in_groups_the_common_flags_first(task, capsys):
    with pytest.raises(SystemExit):
        parse(CLASSES[task], "What it does", ["--help"])
    text = capsys.readouterr().out
    titles = re.findall(r"^(\w.*):$", text, re.MULTILINE)
    assert titles[2:] == ["model", "data", "training", "running and saving", "this task"]
    first = {
        title: re.search(rf"^{title}:\n  (--\w+)", text, re.MULTILINE)[1] for title in titles[2:]
    }
    assert list(first.values())[:4] == [
        "--model_name_or_path", "--train_file", "--learning_rate", "--do_train"
    ]  # fmt: skip
    own = CLASSES[task].model_fields.keys() - CommonArguments.model_fields.keys()
    assert first["this task"].removeprefix("--") in own
    listed = re.findall(r"^  --(\w+)", text.partition("\nmodel:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(CLASSES[task].model_fields)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max_steps=50", "--warmup_steps=50"],
         "--warmup_steps is 50, but the training has 50 steps (--max_steps); give less than that"),
        (["--max_steps=5", "--eval_steps=6", "--logging_steps=7"],
         "--eval_steps is 6 and --logging_steps is 7, but the training has 5 steps (--max_steps)"),
        (["--plan_file=p.json", "--do_train=false", "--do_eval", "--validation_file=v"],
         "--plan_file needs --do_train"),
    ],
)  # fmt: skip
def test_steps_that_the_training_has_not(flags, said):
    assert said in refusal(*flags)


def test_steps_that_the_training_has():
    """The defaults of a long training are no mistake in a short one; nor is an evaluation's."""
    args = of("--max_steps=50", "--warmup_steps=49", "--eval_steps=50", "--logging_steps=50")
    assert args.warmup_steps == 49
    assert of("--max_steps=5").logging_steps == 500
    least = ("--model_name_or_path=m", "--output_dir=o", "--do_predict", "--test_file=t")
    assert parse(GlueArguments, "", [*least, "--max_steps=5", "--warmup_steps=9"]).max_steps == 5


def test_a_message_names_the_key_in_place_of_the_flag(params, capsys):
    """Of a value that stands in the file, or that could; not of a flag that was given alone."""
    params("tasks: {it: {task: qa, max_seq_length: 8, doc_stride: 9, seed: 1}}")

    @command
    def main():
        parse(QaArguments, "", [*LEAST, "--params=tasks.it", "--seed=2"])

    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == (
        "error: params.yaml: tasks.it.doc_stride 9 must be below tasks.it.max_seq_length 8\n"
    )
    params("tasks: {it: {speech_task: translate}}")

    @command
    def other():
        parse(SpeechArguments, "", [*LEAST, "--params=tasks.it"])
        raise InputError("a.wav: no --task, --output_dir or --seed; --nothing")

    with pytest.raises(SystemExit):
        other()
    assert capsys.readouterr().err == (
        "error: a.wav: no tasks.it.speech_task of params.yaml, --output_dir or tasks.it.seed; "
        "--nothing\n"
    )
