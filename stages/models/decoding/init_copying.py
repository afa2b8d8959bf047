"""First values under which a small T5 copies what its source says.

From the usual random start a small T5 learns how often each token comes and stays there: a token
that is to be copied must pass an attention of the encoder, the cross-attention and the head, and
while any of the three is random none of them is told how to improve. The first values here join the
three, and leave the rest random; checkpoints stay ordinary ones.

1. Of the residual stream the first half holds the token, the last dimensions what comes after it,
   and as many in the middle what came before: a head each of the encoder's first layer, and one of
   the decoder's, carries a projection of the neighbour there. What they and the heads below do
   together is the induction of Olsson et al. 2022 (arXiv:2209.11895).
2. Above, two heads of the encoder look for tokens with the same neighbour, and one of them notes
   the token found there as what comes after: a gap learns what stood between these words elsewhere.
3. Three heads of the cross-attention look for the decoder's token in the source (one of them for
   the one before it as well), and carry what comes after it.
4. The head starts small, and reads what comes after by the projection that wrote it.

Other projections into the residual stream start smaller, so that layers begin near the identity.
"""

import math

import numpy as np

from stages.models.decoding.blocks import Attention
from stages.models.layers import Embedding, Linear, set_values

# Which head of an attention does what; there must be as many.
BEHIND, AHEAD, SAME_BEFORE, SAME_AFTER = range(4)
FOLLOWING = (0, 1, 2)
LEAST_HEADS = 4
# What is added to the score of a neighbour; the score of what is the same.
SHARPNESS, MATCH = 5.0, 8.0
# How far what is carried stands out beside the token, which has 1.
CARRIED = 0.5
RESIDUAL_SCALE, HEAD_SCALE, HEAD_GAIN = 0.2, 0.02, 0.1


def arrange(tokens: Embedding, encoder, decoder, head: Linear) -> None:
    """Overwrite values of a newly initialised model, of which a head has at most a quarter.

    Args:
        tokens: the table [vocabulary, width], of standard deviation 1.
        encoder, decoder: have `layers`, of `blocks.Layer`, and `positions`, a table of relative
            positions [buckets, heads]. Bucket 1 is for the token behind, and of the encoder's
            second half for the token ahead.
        head: [width, vocabulary].
    """
    middle = len(encoder.positions.embedding) // 2
    _prefer(encoder.positions, {BEHIND: 1, AHEAD: middle + 1})
    _prefer(decoder.positions, {BEHIND: 1})
    for layer in [*encoder.layers, *decoder.layers]:
        parts = [layer.attention.projection, layer.feed_forward.contract]
        parts += [layer.cross.projection] if hasattr(layer, "cross") else []
        for linear in parts:
            set_values(linear.kernel, np.array(linear.kernel[...]) * RESIDUAL_SCALE)

    lowest = encoder.layers[0].attention
    columns = _columns(lowest, 0)
    table = np.array(tokens.embedding[...])
    width, size = table.shape[1], columns.stop
    token, before = slice(width // 2), slice(width // 2, width // 2 + size)
    after = slice(width - size, width)
    table[:, token.stop :] = 0
    set_values(tokens.embedding, table)

    as_it_is = np.eye(size)
    to_before, to_after = (_projection(lowest, head, token) for head in (BEHIND, AHEAD))
    _carry(lowest, BEHIND, token, to_before, before, 1.0)
    _carry(decoder.layers[0].attention, BEHIND, token, to_before, before, 1.0)
    _carry(lowest, AHEAD, token, to_after, after, 1.0)
    for layer in list(encoder.layers)[1:]:
        _look_for_same(layer.attention, SAME_BEFORE, (before, as_it_is))
        _look_for_same(layer.attention, SAME_AFTER, (after, as_it_is))
        _carry(layer.attention, SAME_BEFORE, token, to_after, after, CARRIED)
    for layer in decoder.layers:
        for number in FOLLOWING:
            same = [(token, _projection(layer.cross, number, token))]
            if number == FOLLOWING[-1]:
                same.append((before, as_it_is))
            _look_for_same(layer.cross, number, *same)
            _carry(layer.cross, number, after, as_it_is, after, CARRIED)

    kernel = np.array(head.kernel[...]) * HEAD_SCALE
    kernel[after] += HEAD_GAIN * (table[:, token] @ to_after).T
    set_values(head.kernel, kernel)


def _prefer(positions: Embedding, chosen: dict[int, int]) -> None:
    """Let heads prefer one bucket of the relative positions each, and the others none."""
    table = np.zeros(positions.embedding.shape)
    for head, bucket in chosen.items():
        table[bucket, head] = SHARPNESS
    set_values(positions.embedding, table)


def _columns(attention: Attention, head: int) -> slice:
    """The outputs of query, key and value that are a head's."""
    size = attention.key.kernel.shape[1] // attention.heads
    return slice(head * size, (head + 1) * size)


def _projection(attention: Attention, head: int, part: slice) -> np.ndarray:
    """Orthonormal columns [part, size], in the directions of a head's random values."""
    values = np.array(attention.value.kernel[part, _columns(attention, head)])
    return np.linalg.qr(values)[0]


def _look_for_same(attention: Attention, head: int, *same: tuple[slice, np.ndarray]) -> None:
    """Let a head attend to where projections of parts of the stream are as the query's own."""
    columns = _columns(attention, head)
    shared = np.zeros(attention.query.kernel[:, columns].shape)
    for part, projection in same:
        shared[part] = projection
    shared *= math.sqrt(MATCH / np.sum(shared**2))
    for linear in (attention.query, attention.key):
        kernel = np.array(linear.kernel[...])
        kernel[:, columns] = shared
        set_values(linear.kernel, kernel)


def _carry(
    attention: Attention,
    head: int,
    source: slice,
    projection: np.ndarray,
    target: slice,
    strength: float,
) -> None:
    """Let a head add the projection of one part of what it attends to, to another part."""
    columns = _columns(attention, head)
    kernel = np.array(attention.value.kernel[...])
    kernel[:, columns] = 0
    kernel[source, columns] = projection
    set_values(attention.value.kernel, kernel)
    kernel = np.array(attention.projection.kernel[...])
    kernel[columns] = 0
    kernel[columns, target] = strength * np.eye(projection.shape[1])
    set_values(attention.projection.kernel, kernel)
