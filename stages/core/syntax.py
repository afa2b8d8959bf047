"""Syntax trees as text that every supported Python writes alike, which `ast.dump` does not."""

import ast
from collections.abc import Iterator

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def canonical(node) -> str:
    """A syntax tree as text, the same on every supported Python.

    Left out are positions, docstrings, what is empty (3.12 added fields that mostly are) and the
    `u` before a string. Neighbouring constants of an f-string are joined.
    """
    if isinstance(node, ast.AST):
        fields = dict(ast.iter_fields(node))
        fields.pop("kind", None)
        if isinstance(node, DOCUMENTED) and _is_text(node.body[:1]):
            fields["body"] = node.body[1:]
        if isinstance(node, ast.JoinedStr):
            fields["values"] = list(_joined(node.values))
        inside = ",".join(
            f"{name}={canonical(value)}"
            for name, value in fields.items()
            if value is not None and value != []
        )
        if isinstance(node, ast.Constant):  # whose value may be None
            inside = f"value={node.value!a}"
        return f"{type(node).__name__}({inside})"
    if isinstance(node, list):
        return f"[{','.join(map(canonical, node))}]"
    return ascii(node)


def _is_text(body: list) -> bool:
    return bool(body) and isinstance(body[0], ast.Expr) and _is_string(body[0].value)


def _is_string(node) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _joined(values: list) -> Iterator[ast.AST]:
    text = ""
    for value in values:
        if _is_string(value):
            text += value.value
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield value
    if text:
        yield ast.Constant(text)
