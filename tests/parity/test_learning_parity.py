"""The same losses, gradients and weights after 50 steps as PyTorch's, for every architecture.

Needs torch (group `parity`): `pytest -m parity`. The loss is the one that the task's script trains
with, PyTorch's is what its own class computes from `labels`; both without dropout. Two places where
ours differ on purpose are left out of the batches: padding can be no answer to a question, while
PyTorch's classes take it for one; and PyTorch never trains the vector of a padding token that the
mask calls text.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("torch", reason="the comparison with PyTorch needs torch: group `parity`")

import torch
from flax import nnx
from parity import random_decoders, random_models
from transformers import get_scheduler

from stages import models
from stages.data.batching import IGNORE_INDEX
from stages.tasks.clm import loss as clm
from stages.tasks.glue import loss as glue
from stages.tasks.mlm import loss as mlm
from stages.tasks.ner import loss as ner
from stages.tasks.qa import loss as qa
from stages.tasks.seq2seq import target_loss
from stages.training.optimizer import make_optimizer, make_schedule
from stages.training.step import TrainStep

pytestmark = pytest.mark.parity
STEPS, WARMUP, RATE = 50, 5, 1e-3
# A gradient that is zero except for rounding (a key's bias) must not become a full step.
EPSILON = 1e-6
LOSSES = {
    "masked_lm": mlm.loss,
    "sequence_classification": glue.class_loss,
    "token_classification": ner.loss,
    "question_answering": qa.loss,
    "causal_lm": clm.loss,
    "seq2seq_lm": target_loss,
    "speech_seq2seq": target_loss,
}
# The families' names for dropout rates.
RATES = (
    "hidden_dropout_prob attention_probs_dropout_prob dropout attention_dropout qa_dropout "
    "seq_classif_dropout resid_pdrop embd_pdrop attn_pdrop dropout_rate activation_dropout"
)
CASES = [(kind, head) for kind in random_models.TYPES for head in random_models.HEADS]
CASES += random_decoders.HEADS.items()


def encoder_batches(settings, head, rng):
    """One batch in our names, and in PyTorch's."""
    values = random_models.batch(settings, int(rng.integers(2**31)))
    values["input_ids"][0, 3] = 3  # is padding in these batches, and called text
    shape = values["input_ids"].shape
    real = values["attention_mask"] == 1
    if head == "sequence_classification":
        labels = rng.integers(0, random_models.LABELS, shape[0])
        return values | {"labels": labels}, values | {"labels": labels}
    if head == "question_answering":
        starts, ends = rng.integers(0, 4, (2, shape[0]))
        spans = {"start_positions": starts, "end_positions": ends}
        values["input_ids"] = np.maximum(values["input_ids"], 3)
        values["attention_mask"] = np.ones_like(values["attention_mask"])
        return values | spans, values | spans
    labels = np.where(real & (rng.random(shape) < 0.7), rng.integers(0, 3, shape), IGNORE_INDEX)
    if head == "token_classification":
        return values | {"labels": labels}, values | {"labels": labels}
    # Three positions a row, some of them not scored.
    places = np.sort(rng.permuted(np.tile(np.arange(shape[1]), (shape[0], 1)), axis=1)[:, :3])
    picked = np.take_along_axis(labels, places, axis=1)
    theirs = np.full(shape, IGNORE_INDEX)
    np.put_along_axis(theirs, places, picked, axis=1)
    return values | {"positions": places, "labels": picked}, values | {"labels": theirs}


def decoder_batches(kind, rng):
    """One batch in our names, and in PyTorch's: targets of their own lengths."""
    values = random_decoders.batch(kind, int(rng.integers(2**31)))
    if kind == "gpt2":
        ids, mask = values["input_ids"], np.sort(values["attention_mask"], axis=1)[:, ::-1]
        labels = np.where(mask == 1, ids, IGNORE_INDEX)
        # PyTorch shifts the labels itself; ours are already shifted.
        after = np.concatenate([labels[:, 1:], np.full_like(labels[:, :1], IGNORE_INDEX)], axis=1)
        values = {"input_ids": ids, "attention_mask": mask.copy()}
        return values | {"labels": after}, values | {"labels": labels}
    labels = np.array(values["decoder_input_ids"])
    labels[1, 9:] = IGNORE_INDEX
    values = {name: value for name, value in values.items() if not name.startswith("decoder")}
    return values | {"labels": labels}, values | {"labels": labels}


def tensors(values):
    return {
        name: torch.tensor(value) if value.dtype == np.float32 else torch.tensor(value).long()
        for name, value in values.items()
    }


def arrays(values):
    return {
        name: jnp.asarray(value if value.dtype == np.float32 else value.astype(np.int32))
        for name, value in values.items()
    }


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def pair(request, tmp_path):
    """Name and head, the two models from the same weights, and a maker of batches."""
    kind, head = request.param
    rng = np.random.default_rng(1)
    made = random_decoders if kind in random_decoders.HEADS else random_models
    settings = made.config(*request.param[: 1 if made is random_decoders else 2])
    for name in RATES.split():
        if hasattr(settings, name):
            setattr(settings, name, 0.0)
    if made is random_decoders:
        theirs = random_decoders.torch_model(settings, kind)
        # Otherwise Whisper masks its input in training.
        theirs.config.apply_spec_augment = False

        def make():
            return decoder_batches(kind, rng)
    else:
        theirs = random_models.torch_model(settings, head)

        def make():
            return encoder_batches(settings, head, rng)

    theirs.save_pretrained(tmp_path / "torch")
    subject = f"{kind} {head}"
    return subject, head, models.from_pretrained(tmp_path / "torch", head), theirs, make


def as_torch(ours, folder, theirs):
    """The tensors of our folder, under PyTorch's names."""
    models.save_pretrained(ours, folder)
    return type(theirs).from_pretrained(folder).state_dict()


def worst(found, expected):
    """The largest difference of any tensor, relative to the largest value of that tensor."""
    return max(
        float((found[name] - value).abs().max() / value.abs().max().clamp(min=1e-6))
        for name, value in expected.items()
    )


def test_loss_and_every_gradient(pair, tmp_path, page):
    subject, head, ours, theirs, make = pair
    batch, torch_batch = make()
    loss = theirs(**tensors(torch_batch)).loss
    loss.backward()
    graph, params = nnx.split(ours)

    def objective(params):
        total, count = LOSSES[head](nnx.merge(graph, params), arrays(batch), None)
        return total / count

    value, gradients = jax.value_and_grad(objective)(params)
    page.compare(subject, "loss", abs(float(value) / loss.item() - 1))
    nnx.update(ours, gradients)
    found = as_torch(ours, tmp_path / "gradients", theirs)
    expected = {name: weight.grad for name, weight in theirs.named_parameters()}
    largest = max(float(grad.abs().max()) for grad in expected.values() if grad is not None)
    trained = 0
    for name, grad in expected.items():
        if grad is None:  # a pooler that this head does not read; the encoder's fixed positions
            continue
        trained += 1
        scale = max(float(grad.abs().max()), 1e-2 * largest)
        page.compare(subject, "gradients", float((found[name] - grad).abs().max()) / scale)
    assert trained > 10


def test_fifty_steps(pair, tmp_path, page):
    subject, head, ours, theirs, make = pair
    matrices, vectors = [], []
    for weight in theirs.parameters():
        if weight.requires_grad:
            (matrices if weight.ndim > 1 else vectors).append(weight)
    optimizer = torch.optim.AdamW(
        [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}],
        lr=RATE,
        eps=EPSILON,
        weight_decay=0.01,
    )
    torch_schedule = get_scheduler("linear", optimizer, WARMUP, STEPS)
    schedule = make_schedule("linear", RATE, WARMUP, STEPS)
    graph, params = nnx.split(ours)
    adamw = make_optimizer(schedule, adam_epsilon=EPSILON, weight_decay=0.01, max_grad_norm=1.0)
    step = TrainStep(graph, LOSSES[head], adamw, seed=0)
    state = step.init(params)

    curves = []
    for _ in range(STEPS):
        batch, torch_batch = make()
        loss = theirs(**tensors(torch_batch)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        torch_schedule.step()
        state, total, count = step(state, arrays(batch))
        curves.append((float(total / count), loss.item()))
    found, expected = np.array(curves).T
    page.compare(subject, "50 losses", np.abs(found / expected - 1).max())
    nnx.update(ours, state.params)
    after = as_torch(ours, tmp_path / "after", theirs)
    page.compare(subject, "50 steps", worst(after, theirs.state_dict()))
