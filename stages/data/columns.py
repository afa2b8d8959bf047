"""Which column is what: the one given, one of a known name, else the only one it can be.

Nothing is taken by its place. Where two readings are possible, the user is asked for a name.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from types import MappingProxyType
from typing import Any

from stages.core.errors import InputError, quoted
from stages.data.tables import Table

# Columns that number the rows: taken for nothing else unless they are given.
ROW_NUMBERS = ("idx", "id", "guid")


@dataclass(frozen=True)
class Role:
    """What a task reads a column as.

    name: of the column in the task's standard form, `sentence1`.
    flag: the flag, and the key of `data` in params.yaml, that names the column.
    known: usual names. The first one wins; of the others a table may have one.
    fits: whether a column with these values can be meant.
    """

    name: str
    flag: str
    known: tuple[str, ...] = ()
    fits: Callable[[Iterable], bool] = lambda values: True


def holds_text(values: Iterable) -> bool:
    """Whether one of the values is a text that is no number."""
    return any(
        isinstance(value, str) and value.strip() and not _is_number(value) for value in values
    )


def holds_lists(values: Iterable) -> bool:
    """Whether one of the values is a list."""
    return any(isinstance(value, list) for value in values)


def choose_columns(
    table: Table,
    roles: Sequence[Role],
    given: Mapping[str, str | None],
    *,
    optional: Collection[Role] = (),
    source_columns: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """A column for each role: the given one, else one of a known name, else the only one left.

    Args:
        table: the rows.
        roles: what is read.
        given: flag to the column that the user gave, or None; other flags than those of `roles`
            are passed over.
        optional: those of the roles that count only if a column is given for them or has a known
            name.
        source_columns: flag to another name of its column, that of the source which the rows that
            a model was trained on were brought from. A table has either these names or the
            standard's, which are the given ones, else those of the roles.

    Returns:
        The name of each role that counts to that of its column; no column serves two roles.

    Raises:
        InputError: a given column is absent or serves two roles; there is no column for a role, or
            more than one; the table has both the source's names and the standard's. The message
            lists the columns and names the keys to set.
    """
    if source_columns:
        given = given | _as_in_source(table, roles, given, optional, source_columns)
    roles = [role for role in roles if role not in optional or _is_named(table, role, given)]
    chosen: dict[str, str] = {}
    for role in roles:
        name = given.get(role.flag)
        if name is None:
            continue
        if name not in table.columns:
            raise InputError(
                f"{table.path}: no column {quoted(name)} (--{role.flag}); there are "
                f"{table.listed()}"
            )
        if name in chosen.values():
            raise InputError(
                f"{table.path}: --{role.flag} names {quoted(name)}, which another flag has taken"
            )
        chosen[role.name] = name
    candidates: dict[Role, list[str]] = {}
    for role in roles:
        if role.name in chosen:
            continue
        found = [name for name in role.known if name in table.columns]
        found = [name for name in found if name not in chosen.values()]
        if found and (len(found) == 1 or found[0] == role.known[0]):
            chosen[role.name] = found[0]
        else:
            candidates[role] = found
    if candidates:
        chosen |= _only_reading(table, candidates, set(chosen.values()))
    return {role.name: chosen[role.name] for role in roles}


def _as_in_source(
    table: Table,
    roles: Sequence[Role],
    given: Mapping[str, str | None],
    optional: Collection[Role],
    source_columns: Mapping[str, str],
) -> dict[str, str]:
    """Flag to column, as the standard or the source of the training data names them.

    Nothing of names of which the table lacks one that is needed.

    Args:
        as in `choose_columns`.

    Raises:
        InputError: it has both for one role.
    """
    standard = {role.flag: given.get(role.flag) or role.name for role in roles}
    needed = {role.flag for role in roles if role not in optional}
    source = {flag: source_columns.get(flag, name) for flag, name in standard.items()}
    readings = []
    for names in (standard, source):
        there = {flag: name for flag, name in names.items() if name in table.columns}
        if needed <= there.keys():
            readings.append(there)
    for role in roles:
        both = dict.fromkeys(there[role.flag] for there in readings if role.flag in there)
        if len(both) > 1:
            name, other = map(quoted, both)
            raise InputError(
                f"{table.path}: which column is {role.name}? there are {name} and {other}, as the "
                f"source of the training data has it; give --{role.flag}"
            )
    return {flag: name for there in readings for flag, name in there.items()}


def _is_named(table: Table, role: Role, given: Mapping[str, str | None]) -> bool:
    """Whether a role has a column that is given, or one of a known name."""
    return given.get(role.flag) is not None or not {*role.known}.isdisjoint(table.columns)


def _only_reading(
    table: Table, candidates: Mapping[Role, list[str]], taken: set[str]
) -> dict[str, str]:
    """The one way to give each role a different column.

    Args:
        table: the rows.
        candidates: the roles without a column, and the columns of a known name for each.
        taken: columns of other roles.
    """
    free = [name for name in table.columns if name not in taken and name not in ROW_NUMBERS]
    if len(free) > 1 or len(candidates) > 1:
        fitting = [
            found or [name for name in free if role.fits(table.values(name))]
            for role, found in candidates.items()
        ]
    else:  # What is wrong with its values is said of their row.
        fitting = [free]
    readings = (columns for columns in product(*fitting) if len({*columns}) == len(columns))
    found = list(islice(readings, 2))
    if len(found) == 1:
        return dict(zip((role.name for role in candidates), found[0], strict=True))
    flags = " and ".join(f"--{role.flag}" for role in candidates)
    if found:
        wrong = f"which column is {' and which '.join(role.name for role in candidates)}?"
    else:
        lacking = [role.flag for role, one in zip(candidates, fitting, strict=True) if not one]
        wrong = f"no column is left for --{(lacking or [list(candidates)[-1].flag])[0]};"
    raise InputError(f"{table.path}: {wrong} there are {table.listed()}; give {flags}")


class ChosenColumns:
    """What is read from chosen columns of a file.

    roles: of the columns, as far as a model's folder keeps them.
    columns: which column of the file is what, by the names of roles; empty where names are fixed.
    """

    roles: Sequence[Role] = ()
    columns: Mapping[str, str] = MappingProxyType({})

    @property
    def named_columns(self) -> dict[str, str]:
        """Flag to column of each role, where columns go by their names."""
        columns = self.columns
        return {role.flag: columns[role.name] for role in self.roles if role.name in columns}

    @property
    def kept_columns(self) -> dict[str, str]:
        """Those without a known name, which must be named again."""
        known = {role.flag: role.known for role in self.roles}
        named = self.named_columns.items()
        return {flag: column for flag, column in named if column not in known[flag]}

    @property
    def renamed_columns(self) -> dict[str, str]:
        """Those that the standard form has another name for."""
        standard = {role.flag: role.name for role in self.roles}
        named = self.named_columns.items()
        return {flag: column for flag, column in named if column != standard[flag]}


def say_columns(path: str, columns: Mapping[str, str]) -> None:
    """Print what was read as what.

    Args:
        path: the file.
        columns: as `choose_columns` gives them; nothing is printed of none.
    """
    if columns:
        print(f"columns of {path}: {listed_columns(columns)}", flush=True)


def listed_columns(columns: Mapping[str, str]) -> str:
    """`sentence1 = review, label = stars`."""
    return ", ".join(f"{role} = {column}" for role, column in columns.items())


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
