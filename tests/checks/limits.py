"""How large a class or a function may become, and the few that may be larger."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.checks.exceptions import unexcepted

CLASS_LINES = 200
CLASS_ATTRIBUTES = 15
FUNCTION_LINES = 60
PARAMETERS = 8
FOLDERS = ("spyctl", "tests")

# What may exceed a limit, and why; a key is "path name what".
EXCEPTIONS = {
    "spyctl/dbn/quality.py Quality attributes": "a plain record, one attribute for each figure of the report",
    "spyctl/bus/runs.py RunRecord attributes": "a plain record, one attribute for each fact that the bucket holds",
}


@dataclass(frozen=True, slots=True)
class Excess:
    """One figure beyond its limit; ``what`` is lines, attributes or parameters."""

    path: str
    line: int
    name: str
    what: str
    figure: int
    limit: int

    @property
    def key(self) -> str:
        """What an exception calls it."""
        return f"{self.path} {self.name} {self.what}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.name} has {self.figure} {self.what}, the limit is {self.limit}"


def measure(source: str, path: str) -> Iterator[Excess]:
    """Yield what exceeds a limit in the source of one file, in its order."""
    yield from _within(ast.parse(source), "", path)


def check(root: Path, exceptions: dict[str, str] = EXCEPTIONS) -> list[str]:
    """Return a sentence for each excess below ``root`` that is not excepted, and for each stale exception."""
    paths = sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))
    excesses = [excess for path in paths for excess in measure(path.read_text(), path.relative_to(root).as_posix())]
    return unexcepted({excess.key: str(excess) for excess in excesses}, exceptions)


def _within(node: ast.AST, prefix: str, path: str) -> Iterator[Excess]:
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{prefix}{child.name}"
            for what, figure, limit in _figures(child, is_method=isinstance(node, ast.ClassDef)):
                if figure > limit:
                    yield Excess(path, child.lineno, name, what, figure, limit)
            name += "."
        yield from _within(child, name, path)


def _figures(
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, *, is_method: bool
) -> Iterator[tuple[str, int, int]]:
    end = node.end_lineno or node.lineno
    if isinstance(node, ast.ClassDef):
        yield "lines", end - node.lineno + 1, CLASS_LINES
        yield "attributes", len(_attributes(node)), CLASS_ATTRIBUTES
    elif _is_command(node):  # its signature is its options
        yield "lines", end - node.body[0].lineno + 1, FUNCTION_LINES
    else:
        yield "lines", end - node.lineno + 1, FUNCTION_LINES
        yield "parameters", _parameters(node, is_method=is_method), PARAMETERS


def _attributes(node: ast.ClassDef) -> set[str]:
    # Fields declared in the body, and whatever a method assigns on its first parameter.
    names = {
        statement.target.id
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and "ClassVar" not in ast.unparse(statement.annotation)
    }
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.args.args:
            self = method.args.args[0].arg
            names |= {
                inner.attr
                for inner in ast.walk(method)
                if isinstance(inner, ast.Attribute)
                and isinstance(inner.ctx, ast.Store)
                and isinstance(inner.value, ast.Name)
                and inner.value.id == self
            }
    return names


def _is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = node.args
    annotations = [argument.annotation for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return any("typer." in ast.unparse(annotation) for annotation in annotations if annotation is not None)


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef, *, is_method: bool) -> int:
    arguments = node.args
    count = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
    count += (arguments.vararg is not None) + (arguments.kwarg is not None)
    is_static = any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)
    return count - (is_method and not is_static)
