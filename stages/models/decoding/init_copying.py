"""First values under which a small T5 copies from its source.

From the usual random values a small T5 learns token frequencies and stays there. To copy a token,
an attention of the encoder, the cross-attention and the head must work together, and none of them
gets a useful gradient while another is random. The first values here connect the three and leave
the rest random; the saved models are ordinary ones.

1. The first half of the residual stream holds the token, the last dimensions the next token, and as
   many in the middle the previous token: one head for each in the encoder's first layer, and one
   in the decoder's, writes a projection of the neighbour there. Together with the heads below they
   form the induction heads of Olsson et al. 2022 (arXiv:2209.11895).
2. In the encoder's other layers, two heads attend to tokens with the same neighbour, and one of
   them writes the token found there as the next token: a gap gets what stood between the same
   words elsewhere.
3. Three heads of the cross-attention find the decoder's token in the source (one of them by the
   token before it as well), and write the next token.
4. The head starts small, and reads the next token through the projection that wrote it.

Other projections into the residual stream start smaller, so that layers start near the identity.
"""

import math

import numpy as np

from stages.models.decoding.blocks import Attention
from stages.models.layers import Embedding, Linear
from stages.models.parameters import overwrite

# The role of each head of an attention; there must be at least as many heads.
BEHIND, AHEAD, SAME_BEFORE, SAME_AFTER = range(4)
FOLLOWING = (0, 1, 2)
MIN_HEADS = 4
# Bias on the score of a neighbour; score of a match.
SHARPNESS, MATCH = 5.0, 8.0
# Size of what is written, relative to the token with 1.
WRITTEN = 0.5
RESIDUAL_SCALE, HEAD_SCALE, HEAD_GAIN = 0.2, 0.02, 0.1


def apply_init(tokens: Embedding, encoder, decoder, head: Linear) -> None:
    """Overwrite first values of a new model, whose heads have at most a quarter of its width.

    Args:
        tokens: the table [vocabulary, width], of standard deviation 1.
        encoder, decoder: have `layers`, of `blocks.Layer`, and `positions`, a table of relative
            positions [buckets, heads]. Bucket 1 is for the previous token; bucket 1 of the
            encoder's second half for the next one.
        head: [width, vocabulary].
    """
    middle = len(encoder.positions.embedding) // 2
    _prefer(encoder.positions, {BEHIND: 1, AHEAD: middle + 1})
    _prefer(decoder.positions, {BEHIND: 1})
    for layer in [*encoder.layers, *decoder.layers]:
        parts = [layer.attention.projection, layer.feed_forward.contract]
        parts += [layer.cross.projection] if hasattr(layer, "cross") else []
        for linear in parts:
            overwrite(linear.kernel, np.array(linear.kernel[...]) * RESIDUAL_SCALE)

    lowest = encoder.layers[0].attention
    columns = _columns(lowest, 0)
    table = np.array(tokens.embedding[...])
    width, size = table.shape[1], columns.stop
    token, before = slice(width // 2), slice(width // 2, width // 2 + size)
    after = slice(width - size, width)
    table[:, token.stop :] = 0
    overwrite(tokens.embedding, table)

    identity = np.eye(size)
    to_before, to_after = (_projection(lowest, head, token) for head in (BEHIND, AHEAD))
    _write(lowest, BEHIND, token, to_before, before, 1.0)
    _write(decoder.layers[0].attention, BEHIND, token, to_before, before, 1.0)
    _write(lowest, AHEAD, token, to_after, after, 1.0)
    for layer in list(encoder.layers)[1:]:
        _match(layer.attention, SAME_BEFORE, (before, identity))
        _match(layer.attention, SAME_AFTER, (after, identity))
        _write(layer.attention, SAME_BEFORE, token, to_after, after, WRITTEN)
    for layer in decoder.layers:
        for number in FOLLOWING:
            same = [(token, _projection(layer.cross, number, token))]
            if number == FOLLOWING[-1]:
                same.append((before, identity))
            _match(layer.cross, number, *same)
            _write(layer.cross, number, after, identity, after, WRITTEN)

    kernel = np.array(head.kernel[...]) * HEAD_SCALE
    kernel[after] += HEAD_GAIN * np.einsum("vt,ts->sv", table[:, token], to_after)
    overwrite(head.kernel, kernel)


def _prefer(positions: Embedding, chosen: dict[int, int]) -> None:
    """Bias each chosen head towards one bucket of relative positions; the others have no bias."""
    table = np.zeros(positions.embedding.shape)
    for head, bucket in chosen.items():
        table[bucket, head] = SHARPNESS
    overwrite(positions.embedding, table)


def _columns(attention: Attention, head: int) -> slice:
    """The outputs of query, key and value that belong to a head."""
    size = attention.key.kernel.shape[1] // attention.heads
    return slice(head * size, (head + 1) * size)


def _projection(attention: Attention, head: int, part: slice) -> np.ndarray:
    """Orthonormal columns [part, size] that span a head's random values, float64.

    By Gram and Schmidt's method with `einsum`, which sums alike on every processor: LAPACK and BLAS
    do not, and random columns are far enough from dependent for it.
    """
    values = np.array(attention.value.kernel[part, _columns(attention, head)], np.float64)
    for number in range(values.shape[1]):
        column, before = values[:, number], values[:, :number]
        column -= np.einsum("ij,j->i", before, np.einsum("ij,i->j", before, column))
        column /= math.sqrt(np.einsum("i,i->", column, column))
    return values


def _match(attention: Attention, head: int, *same: tuple[slice, np.ndarray]) -> None:
    """Let a head attend to tokens whose projected parts of the stream equal the query's."""
    columns = _columns(attention, head)
    shared = np.zeros(attention.query.kernel[:, columns].shape)
    for part, projection in same:
        shared[part] = projection
    shared *= math.sqrt(MATCH / np.sum(shared**2))
    for linear in (attention.query, attention.key):
        kernel = np.array(linear.kernel[...])
        kernel[:, columns] = shared
        overwrite(linear.kernel, kernel)


def _write(
    attention: Attention,
    head: int,
    source: slice,
    projection: np.ndarray,
    target: slice,
    strength: float,
) -> None:
    """Let a head write the projection of one part of the attended token to another part."""
    columns = _columns(attention, head)
    kernel = np.array(attention.value.kernel[...])
    kernel[:, columns] = 0
    kernel[source, columns] = projection
    overwrite(attention.value.kernel, kernel)
    kernel = np.array(attention.projection.kernel[...])
    kernel[columns] = 0
    kernel[columns, target] = strength * np.eye(projection.shape[1])
    overwrite(attention.projection.kernel, kernel)
