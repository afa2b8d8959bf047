"""What an entry of `tokenizers` in params.yaml has, whatever the kind of vocabulary."""

from pydantic import Field

from stages.core.schema import Section


class TokenizerEntry(Section):
    """A tokenizer to train, and the configuration of the new model that it is for."""

    text: str | None = Field(None, description="text to train on, which the pipeline passes")
    columns: list[str] = Field(
        ["text"], min_length=1, description="columns of the text, where its file has columns"
    )
    vocab_size: int = Field(ge=100, description="tokens at most")
    config: dict = Field(description="`model_type` and the model's sizes")
