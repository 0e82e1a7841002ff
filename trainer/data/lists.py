"""Parses lists in a cell: real lists, JSON, or the printed form of Python, numpy, or pandas."""

from __future__ import annotations

import ast
import io
import tokenize
from typing import Any

from interfaces.problems import Code
from trainer.data.cells import RowError
from trainer.data.rows import first_twice, json_with_twice, kind_of

_WRAPPERS = {"array", "int64", "int32", "float64", "float32", "bool_", "str_"}
_SKIPPED = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def as_list(value: Any, field: str, expected: str) -> list[Any]:
    """Return a value as a list. In a CSV, lists are JSON or the printed form of Python, numpy, or pandas.

    Raises:
        RowError: the value isn't a list, or an object in it has a duplicate key.
    """
    if isinstance(value, str) and value.lstrip().startswith(("[", "array(")):
        value = parsed(value, field)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list):
        raise RowError(Code.ROW_FIELD_TYPE, field=field, expected=expected, value=kind_of(value))
    return value


def parsed(text: str, field: str) -> Any:
    """Parse a text as JSON or as a printed Python value. Return the text itself if it is neither.

    Raises:
        RowError: an object has a duplicate key, of which a parser would silently keep the last.
    """
    try:
        value, twice = json_with_twice(text)
    except (ValueError, RecursionError):
        twice = []
        try:
            tree = _Printed(twice).visit(ast.parse(_with_commas(text.strip()), mode="eval"))
            value = ast.literal_eval(tree)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return text
    if twice:
        raise RowError(Code.ROW_KEY_TWICE, field=f"{field}.{twice[0]}".lstrip("."))
    return value


class _Printed(ast.NodeTransformer):
    """Converts a printed value: `array([...], dtype=object)` to a list, `np.int64(3)` to a number, `nan` to None."""

    def __init__(self, twice: list[str]) -> None:
        self._twice = twice

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        return self.visit(node.args[0]) if name in _WRAPPERS and node.args else node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Constant(None), node) if node.id in ("nan", "null") else node

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        self._twice.extend(first_twice(key.value for key in node.keys if isinstance(key, ast.Constant)))
        return self.generic_visit(node)


def _with_commas(text: str) -> str:
    """Insert the missing commas in a list printed by numpy: `[{...} {...}]` or `['a' 'b']`.

    This works on tokens, so that strings stay unchanged.
    """
    lines, missing, previous = text.splitlines(keepends=True), [], None
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in _SKIPPED:
                continue
            begins = token.string in ("{", "[", "array") or token.type == tokenize.STRING
            ended = previous is not None and (previous.string in ("}", "]", ")") or previous.type == tokenize.STRING)
            if begins and ended:
                missing.append(token.start)
            previous = token
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return text
    for row, column in reversed(missing):
        lines[row - 1] = f"{lines[row - 1][:column]},{lines[row - 1][column:]}"
    return "".join(lines)
