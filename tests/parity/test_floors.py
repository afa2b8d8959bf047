"""Commands of the reference train a stand-in to the floors that the reference sets.

Needs torch (group `parity`), the reference's sample files and other text to train on.
"""

import numpy as np
import pytest
from support.paths import ROOT

pytest.importorskip("torch", reason="a stand-in is trained by PyTorch: group `parity`")

import torch
from parity import stand_ins
from safetensors.numpy import load_file
from support.toy_speech import make_clips

from stages import models
from stages.core.params import read_params
from stages.gate.rules import judge
from stages.gate.schema import parse_gates

pytestmark = pytest.mark.parity
# What each command must reach: the gates of the profile that is the reference.
PROFILE = ROOT / "profiles/huggingface/params.yaml"
FLOORS = parse_gates(read_params(PROFILE)).held
# Heads that are not in the pretrained folder, their class names and their seed.
NEW_HEADS = {
    "glue": ("sequence_classification", ["equivalent", "not_equivalent"], 42),
    "ner": ("token_classification",
            ["B-LOC", "B-MISC", "B-ORG", "B-PER", "I-LOC", "I-MISC", "I-ORG", "I-PER", "O"], 7),
    "qa": ("question_answering", None, 42),
}  # fmt: skip


def reached(task: str, found: dict) -> bool:
    """Whether every figure is on the right side of its floor."""
    return all(judge(gate, found[name])[0] == "holds" for name, gate in FLOORS[task].items())


@pytest.mark.parametrize("task", stand_ins.MAKERS)
def test_a_command_carries_a_stand_in_over_the_floor(task, samples, tmp_path):
    for needed in (stand_ins.BOOKS, stand_ins.TWEETS):
        if not needed.exists():
            pytest.skip(f"other text to train on is not here: {needed.name}")
    torch.manual_seed(0)
    folders = {"D": make_clips(tmp_path / "clips")} if task == "speech" else {}
    count = iter(range(1000))

    def measure(folder):
        out = tmp_path / f"measured-{next(count)}"
        return stand_ins.command(task, folder, out, folders, train=False)

    start = stand_ins.MAKERS[task](tmp_path / "start", measure)
    beginning = start
    if task in NEW_HEADS:
        head, names, seed = NEW_HEADS[task]
        config = models.load_config(start)
        if names is not None:
            config.id2label, config.label2id = dict(enumerate(names)), {}
        model = models.from_pretrained(start, head, config=config, seed=seed)
        beginning = tmp_path / "beginning"
        models.save_pretrained(model, beginning)
        stand_ins.save_tokenizer(start, beginning)
    before = measure(beginning)
    assert not reached(task, before)
    found = stand_ins.command(task, start, tmp_path / "out", folders, train=True)
    assert reached(task, found), {name: (before[name], found[name]) for name in FLOORS[task]}
    weights, trained = (load_file(it / "model.safetensors") for it in (start, tmp_path / "out"))
    moved = [
        name
        for name in weights.keys() & trained
        if not np.array_equal(weights[name], trained[name])
    ]
    assert len(moved) > 0.8 * len(weights)
