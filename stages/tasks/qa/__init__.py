"""Extractive question answering: a span of the context, or no answer."""
