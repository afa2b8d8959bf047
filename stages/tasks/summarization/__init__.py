"""Summarization: rows, tokens, metric and arguments of the task."""
