"""Checks the sizes of files, functions, parameter lists and commit subjects.

Prints each that is too large, and then exits with 1.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 70
PARAMETERS = 5
SUBJECT_LENGTH = 72
LANGUAGES = ("*.py", "*.js", "*.mjs")
"""Of scripts of the web app, the length of a file is checked alone."""
VENDORED = "web/static/vendor"
COMMITS = 200
"""So many of the newest commits are checked; a shallow clone may have fewer."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    offenders = [fault for path in our_files(root) for fault in faults(path.relative_to(root), path.read_text("utf-8"))]
    offenders += subject_faults(newest_subjects(root))
    for fault in offenders:
        sys.stdout.write(f"{fault}\n")
    return 1 if offenders else 0


def our_files(root: Path) -> list[Path]:
    """Return our files that git tracks or would track: a new one counts before it is added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *LANGUAGES, f":!{VENDORED}"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return sorted(path for name in set(listed.split("\0")) if name and (path := root / name).is_file())


def newest_subjects(root: Path) -> list[str]:
    """The abbreviated hash and the subject of each of the newest commits, without merges."""
    command = ["git", "log", f"--max-count={COMMITS}", "--no-merges", "--format=%h %s"]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()


def subject_faults(commits: list[str]) -> list[str]:
    return [
        f"commit {commit}: the subject has {len(subject)} characters, at most {SUBJECT_LENGTH}"
        for commit in commits
        if len(subject := commit.partition(" ")[2]) > SUBJECT_LENGTH
    ]


def faults(path: Path, source: str) -> Iterator[str]:
    lines = len(source.splitlines())
    if lines > FILE_LINES:
        yield f"{path}:1: the file has {lines} lines, at most {FILE_LINES}"
    if path.suffix != ".py":
        return
    tree = ast.parse(source, str(path))
    methods = {node for parent in ast.walk(tree) if isinstance(parent, ast.ClassDef) for node in parent.body}
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield from _function_faults(path, node, method=node in methods)


def _function_faults(path: Path, node: Function, *, method: bool) -> Iterator[str]:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if length > FUNCTION_LINES:
        yield f"{path}:{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES}"
    parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list)
    count = len(parameters) - (1 if method and not static and parameters else 0)
    if count > PARAMETERS:
        yield f"{path}:{node.lineno}: {node.name} has {count} parameters, at most {PARAMETERS}"


if __name__ == "__main__":
    sys.exit(main())
