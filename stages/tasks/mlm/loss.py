"""Loss of masked language modelling, and the scores of its evaluation."""

import jax

from stages.data.packing import SEQUENCE_IDS
from stages.tasks.text.evaluate import token_scores
from stages.training.losses import cross_entropy


def masked_logits(model, batch, rngs=None) -> jax.Array:
    """Logits float32 [rows, places, vocabulary] at `positions`.

    Only these pass the last layer and the head.
    """
    hidden = model.hidden(
        batch["input_ids"],
        attention_mask=batch["attention_mask"],
        token_type_ids=batch.get("token_type_ids"),
        sequence_ids=batch.get(SEQUENCE_IDS),
        positions=batch["positions"],
        rngs=rngs,
    )
    return model.logits(hidden)


def loss(model, batch, rngs):
    """Negative log likelihood of the masked tokens, summed, and their number."""
    return cross_entropy(masked_logits(model, batch, rngs), batch["labels"])


def score(model, batch):
    """The sums over the masked tokens, and the worst of each row."""
    return token_scores(masked_logits(model, batch), batch["labels"])
