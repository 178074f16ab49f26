"""Line numbers of TOML entries, against what the standard library's parser sees in the same text."""

import tomllib
from typing import Any

from catalog import toml_lines
from catalog.files import SHIPPED

TEXT = '''# c [x]
[a."b.c"] # hi
x = 1.5 # y = 2
s = """
[no]
y = 3 \\""" ""
"""
routes = [
  { provider = "p", model = "m" }, # one ]
  { provider = "q", model = "]" },
]
k.l = [1, 2,
 [3]]
d = 2020-01-01 10:00:00
t = "a # b" # c
lit = '\\'
[[z]]
a = 1
[[z]]
'b' = {}
'''


def paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    paths_ = {path} if path else set()
    return paths_.union(*(paths(part, (*path, key)) for key, part in inside))


def test_every_entry_has_its_line() -> None:
    lines = toml_lines.index(TEXT)
    assert lines.keys() == paths(tomllib.loads(TEXT))
    assert lines["a", "b.c"] == 2
    assert lines["a", "b.c", "x"] == 3
    assert lines["a", "b.c", "routes"] == 8
    assert lines["a", "b.c", "routes", 1, "model"] == 10
    assert lines["a", "b.c", "k", "l", 2, 0] == 13
    assert lines["a", "b.c", "lit"] == 16
    assert lines["z", 1, "b"] == 20


def test_the_shipped_catalog_is_indexed_whole() -> None:
    text = SHIPPED.read_text()
    lines = toml_lines.index(text)
    assert lines.keys() == paths(tomllib.loads(text))
    assert text.splitlines()[lines["models", "google-veo-31"] - 1] == "[models.google-veo-31]"
