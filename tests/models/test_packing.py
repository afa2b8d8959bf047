"""Packed rows give what each row gives by itself: logits, losses and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from support.toy_models import POSITIONS, make_config

from stages import models
from stages.data.batching import IGNORE_INDEX, Batches
from stages.data.packing import PackedBatches
from stages.models.layers import pack_positions, sequence_starts
from stages.tasks.glue.loss import class_loss, regression_loss
from stages.tasks.mlm.loss import loss as mlm_loss
from stages.tasks.ner.loss import loss as ner_loss
from stages.tasks.qa.loss import loss as qa_loss
from stages.tasks.seq2seq import target_logits, target_loss

ENCODERS = ("bert", "roberta", "distilbert")
LENGTHS = [5, 3, 8, 2, 7, 12, 4, 6]
TARGETS = [2, 5, 1, 3, 3, 2, 4, 1]
VOCABULARY = 60
NO_DROPOUT = {
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "dropout": 0.0,
    "attention_dropout": 0.0, "qa_dropout": 0.0, "seq_classif_dropout": 0.0,
}  # fmt: skip


def make_encoder(family, head, **changes):
    config = make_config(family, VOCABULARY)
    for name, value in (NO_DROPOUT | {"num_labels": 3} | changes).items():
        setattr(config, name, value)
    return models.from_config(config, head, seed=1)


def make_t5(**changes):
    from transformers import T5Config

    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    config = T5Config(
        vocab_size=VOCABULARY, decoder_start_token_id=0, dropout_rate=0.0, **(sizes | changes)
    )
    return models.from_config(config, "seq2seq_lm", seed=1)


def make_columns(**more):
    rng = np.random.default_rng(0)
    return {
        "input_ids": [rng.integers(3, VOCABULARY, n).astype(np.int32) for n in LENGTHS],
        "attention_mask": [np.ones(n, np.int32) for n in LENGTHS],
        **more,
    }


def both(columns, padding=None, **options):
    """All rows in one batch, plain and packed into rows of 16 tokens."""
    options |= {"buckets": 1, "padding": {"labels": IGNORE_INDEX, **(padding or {})}}
    plain = next(Batches(columns, batch_size=len(LENGTHS), **options).training(0))
    packed = PackedBatches(columns, batch_size=len(LENGTHS), full_length=16, **options)
    assert len(packed) == 1
    assert len(packed.groups.counts) < len(LENGTHS)
    return plain, next(packed.training(0)), packed.groups


def assert_same_loss(model, loss, plain, packed):
    """The same sum, count and gradients."""

    def total(params, batch):
        return loss(nnx.merge(graph, params), batch, None)

    graph, params = nnx.split(model)
    value = jax.jit(jax.value_and_grad(total, has_aux=True))
    (one, count), gradient = value(params, plain.arrays)
    (two, other_count), other = value(params, packed.arrays)
    assert count == other_count > 0
    assert abs(float(one - two)) < 1e-5 * float(count)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * float(count))


def test_positions_begin_again():
    ids = jnp.array([[1, 1, 1, 2, 2, 3, 0, 0], [1, 2, 3, 3, 3, 3, 3, 3]])
    assert pack_positions(ids).tolist() == [[0, 1, 2, 0, 1, 0, 0, 1], [0, 0, 0, 1, 2, 3, 4, 5]]
    assert sequence_starts(ids).astype(int).tolist() == [
        [1, 0, 0, 1, 0, 1, 1, 0], [1, 1, 1, 0, 0, 0, 0, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("family", ENCODERS)
def test_logits_of_tokens_are_those_of_each_row(family):
    columns = make_columns(token_type_ids=[np.arange(n) % 2 for n in LENGTHS])
    plain, packed, groups = both(columns)
    model = make_encoder(family, "token_classification")
    names = ("input_ids", "attention_mask", "token_type_ids")
    ids = packed.arrays["sequence_ids"]
    logits = model(**{name: plain.arrays[name] for name in names})
    found = model(**{name: packed.arrays[name] for name in names}, sequence_ids=ids)
    alone = dict(zip(plain.indices.tolist(), logits, strict=True))
    for row, group in enumerate(packed.indices.tolist()):
        for number, one in enumerate(groups.rows(group).tolist(), 1):
            np.testing.assert_allclose(
                found[row][ids[row] == number], alone[one][: LENGTHS[one]], atol=1e-5
            )


def test_another_sequence_of_the_row_changes_nothing():
    _, packed, groups = both(make_columns())
    model = make_encoder("bert", "token_classification")
    ids = packed.arrays["sequence_ids"]
    tokens = packed.arrays["input_ids"].copy()
    before = model(tokens, sequence_ids=ids)
    row = int(np.argmax(groups.counts[packed.indices]))
    tokens[row][ids[row] == 2] = 3
    after = model(tokens, sequence_ids=ids)
    same = ids[row] != 2
    np.testing.assert_array_equal(before[row][same], after[row][same])
    assert (np.abs(before[row] - after[row])[~same] > 1e-3).any()


@pytest.mark.parametrize("family", ENCODERS)
def test_classes(family):
    labels = np.arange(len(LENGTHS), dtype=np.int32) % 3
    plain, packed, _ = both(make_columns(labels=labels))
    assert_same_loss(make_encoder(family, "sequence_classification"), class_loss, plain, packed)


def test_numbers():
    labels = np.linspace(-1, 4, len(LENGTHS), dtype=np.float32)
    plain, packed, _ = both(make_columns(labels=labels), {"labels": np.float32(0)})
    model = make_encoder("bert", "sequence_classification", num_labels=1)
    assert_same_loss(model, regression_loss, plain, packed)


def test_tags():
    labels = [np.where(np.arange(n) % 3, np.arange(n) % 3, IGNORE_INDEX) for n in LENGTHS]
    plain, packed, _ = both(make_columns(labels=labels))
    assert_same_loss(make_encoder("bert", "token_classification"), ner_loss, plain, packed)


@pytest.mark.parametrize("family", ENCODERS)
def test_answers(family):
    begins = np.array([n // 2 for n in LENGTHS], np.int32)
    begins[3] = IGNORE_INDEX
    ends = np.array([n - 1 for n in LENGTHS], np.int32)
    ends[3] = IGNORE_INDEX
    columns = make_columns(start_positions=begins, end_positions=ends)
    padding = {"start_positions": IGNORE_INDEX, "end_positions": IGNORE_INDEX}
    plain, packed, _ = both(columns, padding)
    assert_same_loss(make_encoder(family, "question_answering"), qa_loss, plain, packed)


def test_masked_tokens():
    """As the masker leaves them, places of a row in any order."""
    plain, packed, _ = both(make_columns())
    model = make_encoder("bert", "masked_lm")

    def mask(batch, places):
        real = batch.arrays["attention_mask"] == 1
        order = np.argsort(~real, axis=1, kind="stable")[:, :places]
        kept = np.take_along_axis(real, order, axis=1)
        labels = np.take_along_axis(batch.arrays["input_ids"], order, axis=1)
        arrays = {"positions": order, "labels": np.where(kept, labels, IGNORE_INDEX)}
        return batch._replace(arrays=batch.arrays | arrays)

    assert_same_loss(model, mlm_loss, mask(plain, 12), mask(packed, 16))


@pytest.mark.parametrize("act", ["relu", "gated-gelu"])
def test_summaries(act):
    rng = np.random.default_rng(1)
    labels = [rng.integers(3, VOCABULARY, n).astype(np.int32) for n in TARGETS]
    columns = make_columns(labels=labels)
    plain, packed, groups = both(columns, targets=("labels",))
    model = make_t5(feed_forward_proj=act)
    for smoothing in (0.0, 0.1):
        assert_same_loss(model, partial(target_loss, label_smoothing=smoothing), plain, packed)
    alone = dict(zip(plain.indices.tolist(), target_logits(model, plain.arrays), strict=True))
    found = target_logits(model, packed.arrays)
    ids = packed.arrays["target_sequence_ids"]
    for row, group in enumerate(packed.indices.tolist()):
        for number, one in enumerate(groups.rows(group).tolist(), 1):
            np.testing.assert_allclose(
                found[row][ids[row] == number], alone[one][: TARGETS[one]], atol=1e-5
            )


def test_a_row_may_be_longer_than_a_sequence():
    """The model's positions bound each sequence; without `sequence_ids` they bound the row."""
    model = make_encoder("roberta", "token_classification")
    ids = np.full((1, 2 * POSITIONS), 5)
    numbers = np.repeat([1, 2], POSITIONS)[None]
    logits = model(ids, sequence_ids=numbers)
    np.testing.assert_allclose(logits[0, :POSITIONS], logits[0, POSITIONS:], atol=1e-5)
    assert np.isfinite(logits).all()
    with pytest.raises(ValueError, match="tokens, but the model has"):
        model(ids)
