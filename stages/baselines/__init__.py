"""Simple methods, a module a task: `measure(folder)` gives method to metrics of the test split."""
