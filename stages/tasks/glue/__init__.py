"""Text classification: one sentence or a pair, classes or a number."""
