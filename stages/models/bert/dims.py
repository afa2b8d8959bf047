"""The encoder's dimensions and rates, read from the configuration of any of its families."""

from dataclasses import dataclass, field

from transformers import PretrainedConfig


@dataclass(frozen=True)
class Dims:
    """Entries of a configuration, under the same names for every family."""

    family: str  # "bert", "roberta" or "distilbert"
    width: int
    inner: int
    heads: int
    layers: int
    activation: str
    eps: float
    segments: int  # rows of the token type table; 0: none
    first_position: int  # row of the first token's position
    dropout: float  # after embeddings and after each feed-forward block
    projection_dropout: float  # after the attention's output projection
    attention_dropout: float
    head_dropout: dict[str, float] = field(hash=False)

    @classmethod
    def from_config(cls, config: PretrainedConfig) -> "Dims":
        """Read a configuration of any of the families."""
        if config.model_type == "distilbert":
            return cls(
                family="distilbert",
                width=config.dim,
                inner=config.hidden_dim,
                heads=config.n_heads,
                layers=config.n_layers,
                activation=config.activation,
                eps=1e-12,
                segments=0,
                first_position=0,
                dropout=config.dropout,
                projection_dropout=0.0,
                attention_dropout=config.attention_dropout,
                head_dropout={
                    "sequence_classification": config.seq_classif_dropout,
                    "token_classification": config.dropout,
                    "question_answering": config.qa_dropout,
                },
            )
        rate = config.classifier_dropout
        rate = config.hidden_dropout_prob if rate is None else rate
        bert = config.model_type == "bert"
        return cls(
            family="bert" if bert else "roberta",
            width=config.hidden_size,
            inner=config.intermediate_size,
            heads=config.num_attention_heads,
            layers=config.num_hidden_layers,
            activation=config.hidden_act,
            eps=config.layer_norm_eps,
            segments=config.type_vocab_size,
            first_position=0 if bert else config.pad_token_id + 1,
            dropout=config.hidden_dropout_prob,
            projection_dropout=config.hidden_dropout_prob,
            attention_dropout=config.attention_probs_dropout_prob,
            head_dropout={"sequence_classification": rate, "token_classification": rate},
        )
