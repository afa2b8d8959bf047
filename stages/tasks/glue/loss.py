"""Losses of text classification, and the scores of its evaluation."""

from stages.data.packing import STARTS
from stages.tasks.encoders import encoder_logits
from stages.training.losses import cross_entropy, squared_error


def class_loss(model, batch, rngs=None):
    """Negative log likelihood of the right class, summed over rows, and their number."""
    return cross_entropy(encoder_logits(model, batch, rngs), batch["labels"])


def regression_loss(model, batch, rngs=None):
    """Squared error summed over rows, and their number."""
    predictions = encoder_logits(model, batch, rngs)[..., 0]
    real = batch[STARTS] >= 0 if STARTS in batch else batch["row_mask"]
    return squared_error(predictions, batch["labels"], real)


def score_classes(model, batch):
    """Sum of losses, number of rows, logits float32 [rows, classes]."""
    logits = encoder_logits(model, batch)
    total, count = cross_entropy(logits, batch["labels"])
    return {"loss": total, "count": count, "logits": logits}


def score_regression(model, batch):
    """Sum of squared errors, number of rows, predictions float32 [rows, 1]."""
    logits = encoder_logits(model, batch)
    total, count = squared_error(logits[:, 0], batch["labels"], batch["row_mask"])
    return {"loss": total, "count": count, "logits": logits}
