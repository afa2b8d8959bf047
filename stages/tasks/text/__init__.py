"""What the three language models share: documents in, token scores out."""
