"""Loads the catalog: the shipped `catalog.toml`, a deployment's own file over it, list prices and keys."""

import re
import tomllib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path

from catalog import toml_lines
from catalog.builder import CatalogBuilder, ProviderKeys
from catalog.document import Document, Kinds, Problem, merge, parse, replaces
from catalog.document import Path as EntryPath
from domain.catalog import Catalog, CatalogInvalid

SHIPPED = Path(__file__).resolve().parent / "catalog.toml"


def load(
    extension: Path | None,
    keys: ProviderKeys,
    kinds: Kinds,
    *,
    at: datetime | None = None,
    shipped: Path = SHIPPED,
) -> Catalog:
    """Load the catalog of this deployment, with the list prices of the day `at` (default: now).

    Raises `CatalogInvalid` with every problem found.
    """
    sources = [_read(shipped, shipped.name)]
    if extension is not None:
        sources.append(_read(extension, str(extension)))
    document: Document = {}
    for source in sources:
        document = merge(document, source.document)
    entries = replace(parse(document, kinds), shipped=frozenset(sources[0].document.get("providers", ())))
    catalog, unpriced = CatalogBuilder(entries, keys, kinds, at or datetime.now(UTC)).build()
    if problems := [*entries.problems, *unpriced]:
        raise CatalogInvalid([line for _, line in sorted({_located(problem, sources) for problem in problems})])
    return catalog


@dataclass(frozen=True)
class _Source:
    name: str
    text: str = field(repr=False)
    document: Document = field(repr=False)

    @cached_property
    def lines(self) -> dict[EntryPath, int]:
        """Needed for problems alone, of which there are none as a rule."""
        return toml_lines.index(self.text)


@lru_cache(maxsize=2)
def _parsed(text: str) -> Document:
    """Of the two files of a process, what has not changed is not parsed again. Nobody writes into a document."""
    return tomllib.loads(text, parse_float=Decimal)


def _read(path: Path, name: str) -> _Source:
    try:
        text = path.read_text(encoding="utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError:
        raise CatalogInvalid([f"{name}: cannot be read: it is not UTF-8"]) from None
    except OSError as failed:
        raise CatalogInvalid([f"{name}: cannot be read: {failed.__class__.__name__}"]) from None
    try:
        document = _parsed(text)
    except tomllib.TOMLDecodeError as invalid:
        line = re.search(r"\(at line (\d+), column \d+\)", str(invalid))
        place = line[1] if line else str(text.count("\n") + 1)
        why = re.sub(r" \(at .*\)$", "", str(invalid))
        raise CatalogInvalid([f"{name}:{place}: not valid TOML: {why}"]) from None
    except ArithmeticError:
        raise CatalogInvalid([f"{name}: holds a number that is out of all range"]) from None
    return _Source(name, text, document)


def _located(problem: Problem, sources: list[_Source]) -> tuple[tuple[int, int], str]:
    """Find the file that has the path (the later one, if both have it), and the line of it or its nearest parent."""
    depth, number, line = 0, len(sources) - 1, 1
    for candidate, source in reversed(list(enumerate(sources))):
        known = (length for length in range(len(problem.path), 0, -1) if problem.path[:length] in source.lines)
        length = next(known, 0)
        if length > depth:
            depth, number, line = length, candidate, source.lines[problem.path[:length]]
        if len(problem.path) > 1 and replaces(source.document, str(problem.path[0]), str(problem.path[1])):
            break
    where = ".".join(str(part) for part in problem.path)
    return (number, line), f"{sources[number].name}:{line}: {where}: {problem.message}"
