"""The compiled step that generates for a batch, and its application to a data set."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.data.batching import Batches
from stages.data.reorder import RowColumn, RowWriter
from stages.data.store import Column
from stages.data.writer import Writer, build_store, in_chunks, text_array
from stages.generation.beam import beam_search
from stages.generation.greedy import greedy_search
from stages.generation.options import GenerationOptions
from stages.generation.scores import ABSENT
from stages.training.loop import run_batches


def make_generate_step(model: nnx.Module, options: GenerationOptions):
    """`step(params, batch)`, compiled once for each shape of a batch.

    Args:
        model: one with `start_cache` and `decode`, see `stages/models/decoding/cache.py`.
        options: of the search.

    A batch has `input_ids` and `attention_mask` int32 [rows, time], or `input_features` float32
    [rows, mels, frames]; a model without an encoder continues `input_ids`, padded on either side.
    `decoder_input_ids` int32 [rows, k], without padding, replace `options.decoder_prompt`. Rows
    whose `row_mask` is 0 get no tokens and do not prolong the search.

    Returns:
        A jitted step that returns `sequences` int32 [rows, new], the new tokens with the end token
        and then padding, and `lengths` int32 [rows], the number of tokens before the padding.
    """
    graphdef = nnx.graphdef(model)
    search = greedy_search if options.num_beams == 1 else beam_search

    def step(params, batch):
        model = nnx.merge(graphdef, params)
        if hasattr(model, "encode"):
            prompt, mask, *source = _encoder_prompt(model, batch, options)
        else:
            prompt, mask, *source = _decoder_only_prompt(batch)
        rows, length = prompt.shape
        new = options.new_tokens(length, model.config)
        cache = model.start_cache(rows, length + new - 1, *source)
        if length > 1:
            cache = model.decode(prompt[:, :-1], cache, mask[:, :-1])[1]
        prompt = jnp.where(mask == 1, prompt, ABSENT)
        done = batch["row_mask"] == 0 if "row_mask" in batch else jnp.zeros(rows, bool)
        return search(model, cache, prompt, new, done, options)

    return jax.jit(step)


def generate_rows(step, model: nnx.Module, batches: Batches) -> RowColumn:
    """The new tokens of each row, int32 [length], in the order of the rows, without padding."""
    writer = RowWriter(len(batches.lengths))
    for indices, out in run_batches(step, model, batches):
        rows = zip(out["sequences"], out["lengths"], strict=True)
        writer.add(indices, [ids[:length] for ids, length in rows])
    return writer.finish()


def decode_batch(tokenizer, rows: Sequence[np.ndarray]) -> Column:
    """Decode the result of `generate_rows` to text, without special tokens."""

    def build(writer: Writer) -> None:
        for chunk in in_chunks(rows):
            ids = [row.tolist() for row in chunk]
            texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
            writer.write({"text": text_array(texts)})

    return build_store(build).column("text")


def generate_text(step, model: nnx.Module, tokenizer, batches: Batches) -> tuple[RowColumn, Column]:
    """The result of `generate_rows`, and its text by `decode_batch`."""
    rows = generate_rows(step, model, batches)
    return rows, decode_batch(tokenizer, rows)


def _decoder_only_prompt(batch) -> tuple[jax.Array, jax.Array]:
    """`input_ids` and their mask with the padding moved to the left: the last token is real."""
    mask = batch["attention_mask"]
    order = jnp.argsort(mask != 0, axis=1, stable=True)
    prompt, mask = (jnp.take_along_axis(x, order, axis=1) for x in (batch["input_ids"], mask))
    return prompt, mask.at[:, -1].set(1)  # padding rows have no real token


def _encoder_prompt(model, batch, options: GenerationOptions) -> tuple:
    """The decoder's prompt and its mask, and the encoder's output and, if any, its mask."""
    if "input_features" in batch:
        source = (model.encode(batch["input_features"]),)
    else:
        source = (model.encode(batch["input_ids"], batch["attention_mask"]),)
        source += (batch["attention_mask"],)
    rows = source[0].shape[0]
    if "decoder_input_ids" in batch:
        prompt = batch["decoder_input_ids"]
    else:
        tokens = [0 if token is None else token for token in options.decoder_prompt]
        prompt = jnp.broadcast_to(jnp.array(tokens, jnp.int32), (rows, len(tokens)))
        if None in options.decoder_prompt:
            position = options.decoder_prompt.index(None)
            language = _detect_language(model, source, prompt[:, :1], options.language_ids)
            prompt = prompt.at[:, position].set(language)
    return prompt, jnp.ones_like(prompt), *source


def _detect_language(model, source, start: jax.Array, languages: tuple[int, ...]) -> jax.Array:
    """The language token int32 [rows] with the best score after the start token."""
    logits, _ = model.decode(start, model.start_cache(start.shape[0], 1, *source))
    ids = jnp.array(sorted(languages), jnp.int32)
    return ids[logits[:, 0, ids].argmax(axis=1)]
