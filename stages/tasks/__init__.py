"""One folder a task: its arguments, its rows, its metric and what it is compared with."""
