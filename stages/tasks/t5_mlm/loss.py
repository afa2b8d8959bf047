"""The scores of span corruption in evaluation; its loss is `stages.tasks.seq2seq.target_loss`."""

import jax.numpy as jnp

from stages.tasks.seq2seq import target_logits
from stages.tasks.text.evaluate import token_scores


def score(model, batch):
    """The sums over all target tokens and over those of the text, and the worst of each row.

    Sentinels and the end of the targets are easy: `eval_accuracy` counts them,
    `eval_content_accuracy` does not.
    """
    logits = target_logits(model, batch)
    hits = (jnp.argmax(logits, axis=-1) == batch["labels"]) & (batch["content"] == 1)
    content = {"content_hits": jnp.sum(hits), "content_count": jnp.sum(batch["content"])}
    return {**token_scores(logits, batch["labels"]), **content}
