"""Span corruption: its arguments, its rows, what fills their gaps."""
