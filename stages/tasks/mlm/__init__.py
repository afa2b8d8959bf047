"""Masked language modelling: its arguments, its rows, its baseline."""
