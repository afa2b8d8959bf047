"""What a parameter file may not hold, wherever it stands."""

import pytest
import yaml
from support import scripts

from stages.core.errors import InputError
from stages.core.params import read_params
from stages.core.secrets import refuse_secrets

TOKEN = "hf_" + "aB3" * 11 + "x"
BY_VARIABLE = "take it out and set the environment variable HF_TOKEN"
BY_NETRC = "take it out and put user and password into ~/.netrc"


@pytest.mark.parametrize(
    ("where", "value", "instead"),
    [
        ("tasks.glue.token", "s3cret", BY_VARIABLE),
        ("tasks.glue.data.token", "s3cret", BY_VARIABLE),
        ("tasks.glue.hub_token", "s3cret", BY_VARIABLE),
        ("tasks.glue.use_auth_token", True, BY_VARIABLE),
        ("checkpoints.it.token", "s3cret", BY_VARIABLE),
        ("token", ["s3cret"], BY_VARIABLE),
        ("tasks.glue.hub_model_id", TOKEN, BY_VARIABLE),
        ("tasks.glue.data_license", f"see {TOKEN}, s3cret", BY_VARIABLE),
        ("samples.url", "https://me:s3cret@example.org/x", BY_NETRC),
        ("samples.url", "https://s3cret@example.org/x", BY_NETRC),
        ("samples.files.a.path", "ftp://me:s3cret@example.org", BY_NETRC),
        ("stages.samples.cmd", "curl https://me:s3cret@example.org", BY_NETRC),
    ],
)
def test_a_secret_is_refused_by_its_place(where, value, instead, tmp_path):
    content = value
    for key in reversed(where.split(".")):
        content = {key: content}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        read_params(tmp_path / "p.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/p.yaml: {where} holds a secret, which would be committed with the file and "
        f"with dvc.lock; {instead}"
    )


def test_a_secret_in_a_list():
    with pytest.raises(InputError, match=r"^p: stages\.it\.deps\.1 holds a secret"):
        refuse_secrets({"stages": {"it": {"deps": ["a", "http://me:pw@x"]}}}, "p")


@pytest.mark.parametrize(
    "content",
    [
        {"token": None},
        {"pad_token": "[PAD]", "decoder_start_token_id": 0, "tokens": ["token"]},
        {"url": "https://example.org/a@b", "id": "owner/model@main", "mail": "me@example.org"},
        {"name": "hf_small", "s": "hf-internal-testing/librispeech_asr_dummy"},
    ],
)
def test_what_is_no_secret(content):
    refuse_secrets(content, "p")


def test_aliases_of_aliases_are_looked_at_once():
    text = "a0: &a0 [x, x]\n" + "".join(
        f"a{number}: &a{number} [*a{number - 1}, *a{number - 1}]\n" for number in range(1, 60)
    )
    refuse_secrets(yaml.safe_load(text), "p")


@pytest.mark.parametrize("command", ["pipeline.check", "pipeline.unroll", "run_flax_glue"])
def test_every_command_that_reads_the_file_refuses(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("tasks: {glue: {token: s3cret}}\n")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    flags = ["--params=tasks.glue"] if command.startswith("run") else []
    line = scripts.refused(command, *flags)
    assert line.startswith("error: params.yaml: tasks.glue.token holds a secret")
    assert "s3cret" not in line
