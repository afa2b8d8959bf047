"""Loss of causal language modelling, and the scores of its evaluation."""

import jax

from stages.tasks.text.evaluate import token_scores
from stages.training.losses import cross_entropy


def next_token_logits(model, batch, rngs=None) -> jax.Array:
    """Logits float32 [rows, tokens, vocabulary] of the token after each one."""
    return model(batch["input_ids"], attention_mask=batch["attention_mask"], rngs=rngs)


def loss(model, batch, rngs):
    """Negative log likelihood of the next tokens, summed, and their number."""
    return cross_entropy(next_token_logits(model, batch, rngs), batch["labels"])


def score(model, batch):
    """The sums over all tokens, and the worst token of each row."""
    return token_scores(next_token_logits(model, batch), batch["labels"])
