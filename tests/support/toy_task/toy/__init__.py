"""Whether a sentence asks: the ninth task, which a test adds to a copy of the project."""
