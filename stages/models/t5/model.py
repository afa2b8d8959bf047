"""T5: encoder and decoder with relative positions; version 1.0, and 1.1 as in Flan-T5.

Sources: Raffel et al. 2020 (arXiv:1910.10683), Shazeer 2020 (arXiv:2002.05202) for the gated
feed-forward part, Shaw et al. 2018 (arXiv:1803.02155) for relative positions, and the behaviour of
transformers' PyTorch class, which `tests/parity` compares against.
"""

import copy
import sys

import jax
import jax.numpy as jnp
from transformers import PretrainedConfig

from stages.models.base import attention_init, run_layer
from stages.models.decoding import init_copying
from stages.models.decoding.seq2seq import EncoderDecoder, source_bias
from stages.models.dropout import dropout
from stages.models.layers import Embedding, Linear, pack_bias
from stages.models.parameters import Normal
from stages.models.t5.stack import Stack

HEADS = ("seq2seq_lm",)


class T5(EncoderDecoder):
    """T5 with its language model head; see `stages.models` for how it is called.

    New kernels are normal with `initializer_factor` over the root of their input width,
    embeddings and an untied head with the factor itself; norms start at the factor.
    `attention_init: "copying"` changes them as `decoding/init_copying.py` describes.
    """

    decoder_limit = sys.maxsize

    def __init__(self, config: PretrainedConfig, head: str):
        config = copy.deepcopy(config)
        # transformers 5 reads every T5 as tied. In the published models the head is tied exactly
        # where its input is scaled; other versions of transformers follow this entry.
        config.tie_word_embeddings = config.scale_decoder_outputs
        super().__init__(config, head)
        init = Normal(config.initializer_factor)
        self.word_embeddings = Embedding(config.vocab_size, config.d_model, init=init)
        self.encoder = Stack(config, config.num_layers, decoder=False)
        self.decoder = Stack(config, config.num_decoder_layers, decoder=True)
        if not config.tie_word_embeddings:
            self.head = Linear(
                config.d_model, config.vocab_size, std=config.initializer_factor, bias=False
            )

    def embed(self, ids, positions=None, rngs=None):
        """Look up int32 `[rows, time]` as `[rows * time, width]`; positions are a bias."""
        x = self.word_embeddings(ids.reshape(-1))
        return dropout(x, self.config.dropout_rate, rngs)

    def position_bias(self, queries, keys):
        """The decoder's relative positions; see `Stack`."""
        return self.decoder.position_bias(queries, keys)

    def finish(self, x, rngs=None):
        """Apply the decoder's final norm."""
        return dropout(self.decoder.norm(x), self.config.dropout_rate, rngs)

    def encode(self, input_ids, attention_mask=None, *, sequence_ids=None, rngs=None):
        """Map int32 `[rows, source]` to float `[rows, source, width]`.

        `attention_mask` is nonzero at real tokens; by default all are. `sequence_ids`, int32
        `[rows, source]`, counts sequences packed into a row from 1 and is 0 at padding.
        """
        rows, time = input_ids.shape
        positions = jnp.arange(time)
        bias = source_bias(attention_mask)
        if sequence_ids is not None:
            bias = pack_bias(sequence_ids, sequence_ids)
        run = {
            "rows": rows,
            "bias": bias,
            "position": self.encoder.position_bias(positions, positions),
        }
        x = self.embed(input_ids, rngs=rngs)
        for layer in self.encoder.layers:
            x = run_layer(layer, x, rngs, remat=self.remat, **run)
        x = dropout(self.encoder.norm(x), self.config.dropout_rate, rngs)
        return x.reshape(rows, time, -1)

    def hidden(
        self,
        input_ids,
        attention_mask=None,
        decoder_input_ids=None,
        decoder_attention_mask=None,
        *,
        sequence_ids=None,
        decoder_sequence_ids=None,
        rngs=None,
    ):
        """Return the decoder's output, float `[rows, time, width]`; arguments as `__call__`."""
        encoded = self.encode(input_ids, attention_mask, sequence_ids=sequence_ids, rngs=rngs)
        return self.decoder_hidden(
            decoder_input_ids,
            encoded,
            decoder_attention_mask,
            attention_mask,
            sequence_ids=decoder_sequence_ids,
            source_sequence_ids=sequence_ids,
            rngs=rngs,
        )

    def logits(self, hidden):
        """Score the vocabulary from `[..., width]`: float32 `[..., vocab]`."""
        if self.config.tie_word_embeddings:
            hidden = hidden * self.config.d_model**-0.5
            return self.word_embeddings.attend(hidden).astype(jnp.float32)
        return self.head(hidden).astype(jnp.float32)

    def __call__(
        self,
        input_ids,
        attention_mask=None,
        decoder_input_ids=None,
        decoder_attention_mask=None,
        *,
        sequence_ids=None,
        decoder_sequence_ids=None,
        rngs=None,
    ) -> jax.Array:
        """Return float32 `[rows, time, vocab]`: at each decoder token, the logits of the next.

        Args:
            input_ids: int32 `[rows, source]`.
            attention_mask: nonzero at real tokens of the source; by default all are.
            decoder_input_ids: int32 `[rows, time]`, see `decoder_inputs`.
            decoder_attention_mask: nonzero at real decoder tokens. Padding on the right needs no
                mask: the decoder is causal.
            sequence_ids: of several sequences packed into a row of the source: int32
                `[rows, source]`, counted from 1, 0 at padding. The masks are then not read.
            decoder_sequence_ids: the same of their targets, `[rows, time]`.
            rngs: with a stream `dropout`; None is evaluation mode.
        """
        return self.logits(
            self.hidden(
                input_ids,
                attention_mask,
                decoder_input_ids,
                decoder_attention_mask,
                sequence_ids=sequence_ids,
                decoder_sequence_ids=decoder_sequence_ids,
                rngs=rngs,
            )
        )


def build(config: PretrainedConfig, head: str) -> T5:
    """Make an abstract model."""
    return T5(config, head)


def apply_init(model: T5) -> None:
    """Change the first values as the configuration's `attention_init` asks."""
    if attention_init(model.config, "copying"):
        init_copying.apply_init(model.word_embeddings, model.encoder, model.decoder, model.head)


def max_positions(config: PretrainedConfig) -> int:
    """The number of tokens that a sequence may have: relative positions have no limit."""
    return sys.maxsize
