"""What `hypothesis` makes of users' files, and how many examples a test takes."""

import json
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.core.errors import InputError, one_line

# `make test` takes the short form, `make test-all` both; see CONTRIBUTING.md for a longer one.
LONG = int(os.environ.get("FLAXMILL_EXAMPLES", 500))
sizes = pytest.mark.parametrize(
    "count", [40, pytest.param(LONG, marks=pytest.mark.slow(seconds=LONG // 100))]
)


def holds(check: Callable, *strategies: st.SearchStrategy, count: int) -> None:
    """Call `check` with `count` examples, the same on every machine."""
    steady = settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    steady(given(*strategies)(check))()


def read(reader: Callable, *arguments, **options):
    """What the reader gives, or None for a refusal, which is one line of a bounded length."""
    try:
        return reader(*arguments, **options)
    except InputError as error:
        message = one_line(str(error))
    assert len(message) < 1500
    return None


# Any character that a file may hold, and more often those at which readers stumble.
_odd = st.sampled_from("\n\r\t \"',;{}[]\\\ufeff\u2028\x0b\x85\xa0#-_?01eE.+é\U0001f600")
_character = st.one_of(_odd, st.characters(codec="utf-8", exclude_characters="\0"))
text = st.text(_character, max_size=12)
# JSON can escape what UTF-8 cannot hold: NUL, and half of a surrogate pair.
_escaped = st.text(st.one_of(_character, st.sampled_from("\0\ud83d\udfff")), max_size=8)
_number = st.one_of(st.integers(), st.integers(-3, 3), st.floats(), st.just(10**400))
scalar = st.one_of(st.none(), st.booleans(), _number, text, text, _escaped)
value = st.recursive(
    scalar,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=8,
)


def rows(*names: str, values: st.SearchStrategy = value) -> st.SearchStrategy:
    """Lists of rows of which most have the columns `names`."""
    columns = st.sampled_from([*names, *names, *names, "id", "text", "é", ""])
    usual = st.fixed_dictionaries(dict.fromkeys(names, values))
    loose = st.dictionaries(columns, values, max_size=4)
    return st.lists(st.one_of(usual, usual, usual, loose, values), max_size=5)


def _written(found: list) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            "\n".join(map(json.dumps, found)),
            "\r\n\r\n".join(map(json.dumps, found)) + "\r\n",
            json.dumps(found),
            json.dumps(found, indent=1),
            json.dumps({"version": 1, "data": found}),
        ]
    )


def json_files(*names: str, values: st.SearchStrategy = value) -> st.SearchStrategy:
    """Rows, and the text of a JSON file that holds them: lines, an array, or under `data`."""
    found = rows(*names, values=values)
    return found.flatmap(lambda made: st.tuples(st.just(made), _written(made)))
