"""No line of a log is given an exception's text: it may quote a request. Its kind and its place say enough."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.stack import ROOT

SOURCES = (
    *("*.py", "activities/**/*.py", "api/**/*.py", "catalog/**/*.py", "db/**/*.py", "domain/**/*.py"),
    *("gateway/**/*.py", "providers/**/*.py", "settings/**/*.py", "storage/**/*.py", "temporal/**/*.py"),
    *("tracing/**/*.py", "web/**/*.py", "workflows/**/*.py"),
)
LEVELS = ("debug", "info", "warning", "error", "exception", "critical", "log")
METHODS = {"log": LEVELS, "logger": LEVELS, "faults": ("report",)}
SAFE_CALLS = ("type", "isinstance", "where", "describe")
SAFE_ATTRIBUTES = ("sqlstate", "status", "filename", "lineno", "problems")
"""`status` is a word of a protocol. `problems` are our own sentences, about the operator's files."""


def test_no_log_call_is_given_an_exception() -> None:
    calls, faults = 0, list[str]()
    for path in (path for pattern in SOURCES for path in ROOT.glob(pattern)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in functions(tree):
            tainted = exceptions(function)
            for call in log_calls(function):
                calls += 1
                if any(tells(value, tainted) for value in given(call)):
                    faults.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert calls > 40
    assert faults == []


def functions(tree: ast.AST) -> Iterator[ast.AST]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def log_calls(function: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(value=receiver, attr=attr)) if attr in METHODS.get(_name(receiver), ()):
                yield node


def given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(one.value for one in call.keywords if one.arg != "exc_info")]


def exceptions(function: ast.AST) -> set[str]:
    """The names of exceptions: caught, handed in, or made of one."""
    names = {node.name for node in ast.walk(function) if isinstance(node, ast.ExceptHandler) and node.name}
    for node in ast.walk(function):
        if isinstance(node, ast.arg) and node.annotation is not None:
            written = ast.unparse(node.annotation)
            if written.endswith(("Exception", "Error", "Exception | None", "Error | None")):
                names.add(node.arg)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and tells(node.value, names):
            names |= {one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return names


def tells(value: ast.AST, tainted: set[str]) -> bool:
    match value:
        case ast.Call(func=func) if _name(func) in SAFE_CALLS:
            return False
        case ast.Attribute(attr=attr) if attr in SAFE_ATTRIBUTES:
            return False
        case ast.Name(id=name):
            return name in tainted
    return any(tells(child, tainted) for child in ast.iter_child_nodes(value))


def _name(node: ast.AST) -> str:
    return ast.unparse(node).rpartition(".")[2].lstrip("_")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("log.error('x', fault=str(error))", True),
        ("log.error(f'x {error}')", True),
        ("self._log.warning('%s', error)", True),
        ("workflow.logger.error('%r', error.args[0])", True),
        ("text = repr(error); self.faults.report('x', where='y', fault=text)", True),
        ("log.error('x', fault=type(error).__name__, at=_where(error))", False),
        ("log.error('x', exc_info=error)", False),
        ("log.error('x', sqlstate=error.sqlstate)", False),
    ],
)
def test_a_call_that_tells_is_found(line: str, found: bool) -> None:
    caught = f"def f():\n    try:\n        g()\n    except E as error:\n        {line}"
    for written in (f"def f(error: BaseException):\n    {line}", caught):
        function = next(functions(ast.parse(written)))
        tainted = exceptions(function)
        assert any(tells(value, tainted) for call in log_calls(function) for value in given(call)) is found, written
