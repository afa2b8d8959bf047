"""Causal language modelling: its arguments, its configuration, its rows."""
