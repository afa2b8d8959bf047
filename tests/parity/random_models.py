"""Tiny PyTorch models with random weights, for comparison. Needs torch."""

import numpy as np
import torch
import transformers

HEADS = {
    "masked_lm": "AutoModelForMaskedLM",
    "sequence_classification": "AutoModelForSequenceClassification",
    "token_classification": "AutoModelForTokenClassification",
    "question_answering": "AutoModelForQuestionAnswering",
}
GENERATING = {
    "causal_lm": "AutoModelForCausalLM",
    "seq2seq_lm": "AutoModelForSeq2SeqLM",
    "speech_seq2seq": "AutoModelForSpeechSeq2Seq",
}
TYPES = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert")
VOCAB, LABELS, SEGMENTS = 40, 3, 2


def config(model_type: str, head: str, **changes) -> transformers.PretrainedConfig:
    """Make a configuration of width 16 and 2 layers, in the names of `model_type`."""
    if model_type == "distilbert":
        sizes = {"dim": 16, "hidden_dim": 24, "n_heads": 4, "n_layers": 2, "pad_token_id": 0}
    else:
        bert = model_type == "bert"
        sizes = {
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "type_vocab_size": SEGMENTS if bert else 1,
            "pad_token_id": 0 if bert else 1,
        }
    values = {"vocab_size": VOCAB, "max_position_embeddings": 16, "num_labels": LABELS}
    if head == "question_answering":
        values["num_labels"] = 2
    return transformers.AutoConfig.for_model(model_type, **{**values, **sizes, **changes})


def torch_model(config: transformers.PretrainedConfig, head: str, seed: int = 0):
    """Make a PyTorch model whose every weight is random, norms and biases included.

    The spread is wide (0.3) so that a mistake in any of them shows in the logits.
    """
    torch.manual_seed(seed)
    model = getattr(transformers, (HEADS | GENERATING)[head]).from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn(weight.shape)
    return model.eval()


def batch(config: transformers.PretrainedConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Make three rows of nine tokens: one full, two padded, one of these with padding inside."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(3, VOCAB, (3, 9)).astype(np.int32)
    mask = np.ones_like(ids)
    mask[1, 6:] = 0
    mask[2, 4:] = 0
    ids[mask == 0] = config.pad_token_id
    ids[0, 3] = config.pad_token_id  # attended to, and not counted in RoBERTa's positions
    values = {"input_ids": ids, "attention_mask": mask}
    if config.model_type == "bert":
        segments = (np.arange(9) > 4).astype(np.int32)
        values["token_type_ids"] = np.broadcast_to(segments, ids.shape).copy()
    return values


def torch_logits(model, values: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a PyTorch model: its logits, or start and end."""
    with torch.no_grad():
        output = model(**{name: torch.tensor(value).long() for name, value in values.items()})
    if "start_logits" in output:
        return [output.start_logits.numpy(), output.end_logits.numpy()]
    return [output.logits.numpy()]
