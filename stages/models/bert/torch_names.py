"""PyTorch's names for the modules of `model.py`, and its classes.

In a table the left side is ours, the right side PyTorch's. Layers have the same numbers in both.
"""

from stages.models.pretrained.names import Names

HEADS = {
    "masked_lm": "ForMaskedLM",
    "sequence_classification": "ForSequenceClassification",
    "token_classification": "ForTokenClassification",
    "question_answering": "ForQuestionAnswering",
}
CLASSES = {
    "bert": "Bert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "camembert": "Camembert",
    "distilbert": "DistilBert",
}
EMBEDDINGS = {
    "word_embeddings": "embeddings.word_embeddings",
    "position_embeddings": "embeddings.position_embeddings",
    "token_type_embeddings": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
}
BERT_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "projection": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "expand": "intermediate.dense",
    "contract": "output.dense",
    "output_norm": "output.LayerNorm",
}
DISTILBERT_LAYER = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "projection": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "expand": "ffn.lin1",
    "contract": "ffn.lin2",
    "output_norm": "output_layer_norm",
}
TOKEN_HEADS = {
    "token_classification": {"head.output": "classifier"},
    "question_answering": {"head.output": "qa_outputs"},
}
HEAD_NAMES = {
    "bert": {
        "masked_lm": {
            "head": "cls.predictions",
            "head.dense": "cls.predictions.transform.dense",
            "head.norm": "cls.predictions.transform.LayerNorm",
            "head.decoder": "cls.predictions.decoder",
        },
        "sequence_classification": {
            "head.dense": "bert.pooler.dense",
            "head.output": "classifier",
        },
    },
    "roberta": {
        "masked_lm": {
            "head": "lm_head",
            "head.dense": "lm_head.dense",
            "head.norm": "lm_head.layer_norm",
            "head.decoder": "lm_head.decoder",
        },
        "sequence_classification": {
            "head.dense": "classifier.dense",
            "head.output": "classifier.out_proj",
        },
    },
    "distilbert": {
        "masked_lm": {
            "head": "vocab_projector",
            "head.dense": "vocab_transform",
            "head.norm": "vocab_layer_norm",
            "head.decoder": "vocab_projector",
        },
        "sequence_classification": {
            "head.dense": "pre_classifier",
            "head.output": "classifier",
        },
    },
}


def names(family: str, layers: int, head: str, *, tied: bool) -> Names:
    """Combine the tables for one family ("bert", "roberta" or "distilbert") and head.

    `tied` says whether a masked language model's head shares the token table.
    """
    distilbert = family == "distilbert"
    prefix = f"{family}."
    stack = prefix + ("transformer" if distilbert else "encoder")
    modules = {ours: prefix + theirs for ours, theirs in EMBEDDINGS.items()}
    for number in range(layers):
        for ours, theirs in (DISTILBERT_LAYER if distilbert else BERT_LAYER).items():
            modules[f"layers.{number}.{ours}"] = f"{stack}.layer.{number}.{theirs}"
    head_names = {**HEAD_NAMES[family], **TOKEN_HEADS}[head]
    modules.update(head_names)
    if head != "masked_lm":
        return Names(modules, prefix)
    outer, decoder = head_names["head"] + ".bias", head_names["head.decoder"] + ".bias"
    weight = {head_names["head.decoder"] + ".weight": modules["word_embeddings"] + ".weight"}
    if distilbert:
        return Names(modules, prefix, tied=weight if tied else {})
    # BERT and RoBERTa have the bias twice: tied, both are the same; untied, the outer is unused.
    if tied:
        return Names(modules, prefix, aliases={outer: (decoder,)}, tied=weight)
    return Names(modules, prefix, aliases={decoder: (outer,)}, copies={decoder: outer})
