"""The order of commands of every workflow, read from its source and compared with the committed one.

It catches what no stored history covers. `python scripts/workflow_fingerprints.py` writes the baseline, `--check`
compares with it. Standard library only: nothing is imported, nothing runs.
"""

import argparse
import ast
import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
BASELINE = ROOT / "tests" / "replay" / "fingerprints.json"

# What reaches the history, or decides in which order other things do.
COMMANDS = {
    "workflow": {
        "as_completed",
        "continue_as_new",
        "deprecate_patch",
        "execute_activity",
        "execute_activity_method",
        "execute_child_workflow",
        "execute_local_activity",
        "execute_local_activity_method",
        "get_external_workflow_handle",
        "patched",
        "random",
        "sleep",
        "start_activity",
        "start_activity_method",
        "start_child_workflow",
        "start_local_activity",
        "upsert_memo",
        "upsert_search_attributes",
        "uuid4",
        "wait",
        "wait_condition",
    },
    "asyncio": {"create_task", "gather", "shield", "sleep", "timeout", "wait_for"},
}
BRANCHES = ("orelse", "finalbody")
NAMED_BY_ARGUMENT = ("activity", "child_workflow", "patch", "random")

CHANGED = """
The commands of a workflow have changed, in kind or in order. Runs that began with the old code would fail to replay,
and hang. Either keep the old path for them:

    if workflow.patched("2026-01-31-why"):
        ...  # the new way
    else:
        ...  # the old way, until its last run has ended

or, when replay is not touched (the tests in tests/replay say so) or nothing of it has ever run anywhere, commit the
new baseline: python scripts/workflow_fingerprints.py
"""

Fingerprint = list[str]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def fingerprints(sources: dict[str, str]) -> dict[str, Fingerprint]:
    """Module name to source in; `module.Class.method` to its commands in order out."""
    functions: dict[str, tuple[Function, dict[str, str]]] = {}
    for module, source in sources.items():
        tree = ast.parse(source)
        aliases = _aliases(tree)
        functions |= {f"{module}.{name}": (node, aliases) for name, node in _functions(tree)}
    helpers = set(map(_mention, functions))
    raw = {
        name: [step for statement in node.body for step in _walk(statement, aliases, helpers)]
        for name, (node, aliases) in functions.items()
    }
    return _with_commands_only(raw)


def _mention(name: str) -> str:
    """How a function is mentioned inside of the same class or package."""
    _, *owner, function = name.split(".")
    return f"self.{function}" if owner else function


def _aliases(tree: ast.Module) -> dict[str, str]:
    """`call = workflow.execute_activity_method` at module level."""
    return {
        target.id: ast.unparse(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and isinstance(statement.value, ast.Attribute)
    }


def _functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{inside}{node.name}.")
        elif isinstance(node, Function):
            yield f"{inside}{node.name}", node


def _walk(node: ast.AST, aliases: dict[str, str], helpers: set[str]) -> Iterator[str]:
    """Commands, calls of our own functions, and the branches and loops around them, in the order of the source."""
    fork = _fork(node)
    if fork:
        yield f"{fork} {{"
    if isinstance(node, ast.Call):
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            yield from _walk(argument, aliases, helpers)
        command = _command(node, aliases)
        if command:
            yield command
        else:
            yield from _walk(node.func, aliases, helpers)
    else:
        for field, child in _children(node):
            inner = list(_walk(child, aliases, helpers))
            yield from [f"{field} {{", *inner, "}"] if field in BRANCHES else inner
        if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in helpers:
            yield f"-> {ast.unparse(node)}"
    if fork:
        yield "}"


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield field, child


def _fork(node: ast.AST) -> str | None:
    kinds = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.ExceptHandler, ast.Match, ast.Lambda)
    return type(node).__name__.lower() if isinstance(node, kinds) else None


def _command(call: ast.Call, aliases: dict[str, str]) -> str | None:
    spelled = ast.unparse(call.func)
    module, _, name = aliases.get(spelled, spelled).rpartition(".")
    if name not in COMMANDS.get(module, ()):
        return None
    subject = ast.unparse(call.args[0]) if call.args and any(kind in name for kind in NAMED_BY_ARGUMENT) else ""
    return f"{module}.{name}({subject})"


def _with_commands_only(raw: dict[str, Fingerprint]) -> dict[str, Fingerprint]:
    """Without the functions that lead to no command, the calls of them, and empty branches."""
    while True:
        known = set(map(_mention, raw))
        remaining = {
            name: _pruned([step for step in steps if not step.startswith("-> ") or step[3:] in known])
            for name, steps in raw.items()
        }
        remaining = {name: steps for name, steps in remaining.items() if steps}
        if remaining == raw:
            return remaining
        raw = remaining


def _pruned(steps: Fingerprint) -> Fingerprint:
    remaining: Fingerprint = []
    for step in steps:
        if step == "}" and remaining and remaining[-1].endswith("{"):
            remaining.pop()
        else:
            remaining.append(step)
    return remaining


def current() -> dict[str, Fingerprint]:
    """Of the modules that run inside of workflows."""
    sources = {module.stem: module.read_text() for module in sorted((ROOT / "workflows").glob("*.py"))}
    return fingerprints({name: source for name, source in sources.items() if "import workflow\n" in source})


def written() -> str:
    return json.dumps(current(), indent=1, sort_keys=True) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the baseline instead of writing it")
    check: bool = parser.parse_args(arguments).check
    now = written()
    if not check:
        BASELINE.write_text(now)
        return 0
    before = BASELINE.read_text()
    if now == before:
        return 0
    difference = difflib.unified_diff(before.splitlines(), now.splitlines(), "committed", "now", lineterm="", n=2)
    sys.stderr.write("\n".join(difference) + "\n" + CHANGED)
    return 1


if __name__ == "__main__":
    sys.exit(main())
