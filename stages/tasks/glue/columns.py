"""The columns of text classification, and what those of the GLUE benchmark are called."""

from stages.core.errors import InputError
from stages.data.columns import Role, holds_text
from stages.data.tables import Table

# The columns of the sentences in each task of the GLUE benchmark (https://gluebenchmark.com).
TASK_COLUMNS = {
    "cola": ("sentence", None),
    "mnli": ("premise", "hypothesis"),
    "mrpc": ("sentence1", "sentence2"),
    "qnli": ("question", "sentence"),
    "qqp": ("question1", "question2"),
    "rte": ("sentence1", "sentence2"),
    "sst2": ("sentence", None),
    "stsb": ("sentence1", "sentence2"),
    "wnli": ("sentence1", "sentence2"),
}

SENTENCE = Role("sentence1", "text_column_name", ("sentence1", "sentence", "text"), holds_text)
PAIR = Role("sentence2", "text_pair_column_name", ("sentence2",), holds_text)
LABEL = Role("label", "label_column_name", ("label", "labels"))
GROUP = Role("group", "group_column_name")


def known_pair(table: Table, taken: set[str | None], task_name: str | None) -> dict[str, str]:
    """The columns of a GLUE task's sentences by their flags, where the table has those of one.

    Raises:
        InputError: it has those of several, none of them `sentence1` and `sentence2`.
    """
    free = set(table.columns) - taken
    usual = TASK_COLUMNS.get(task_name)
    if usual is None or not free.issuperset(filter(None, usual)):
        pairs = dict.fromkeys(pair for pair in TASK_COLUMNS.values() if free.issuperset(pair))
        usual = ("sentence1", "sentence2")
        if usual not in pairs:
            if len(pairs) > 1:
                raise InputError(
                    f"{table.path}: which columns are the sentences? there are {table.listed()}; "
                    f"give --{SENTENCE.flag} and --{PAIR.flag}"
                )
            usual = next(iter(pairs), (None, None))
    return dict(zip((SENTENCE.flag, PAIR.flag), usual, strict=True))
