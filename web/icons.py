"""Icons of the pages: one file of symbols, of which a page carries those that it uses."""

import re
from functools import cache
from pathlib import Path

from markupsafe import Markup

FILE = Path(__file__).parent / "icons.svg"
_SYMBOL = re.compile(r'<symbol id="i-([a-z]+)".*</symbol>')
_HATCH = (
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="hatch-ground" width="6" height="6"/><path class="hatch-line" d="M1.5 0v6"/></pattern>'
)


@cache
def symbols() -> dict[str, str]:
    return {"hatch": _HATCH} | {match[1]: match[0] for match in _SYMBOL.finditer(FILE.read_text("utf-8"))}


@cache
def _drawn(name: str, size: str) -> Markup:
    return Markup('<svg class="icon {0}" aria-hidden="true"><use href="#i-{1}"/></svg>').format(size, name)


class Icons:
    """The icons of one page, in the order in which its template uses them."""

    def __init__(self) -> None:
        self._used: dict[str, str] = {}

    def __call__(self, name: str, size: str = "") -> Markup:
        """Return an icon. Decoration: the text beside it, or its button's label, says what it means.

        `size`: `big`, or nothing. Raises `KeyError` for a name that has no symbol.
        """
        self.need(name)
        return _drawn(name, size)

    def mark(self, size: int = 20) -> Markup:
        """Return the product's mark."""
        self.need("yout")
        return Markup('<svg width="{0}" height="{0}" aria-hidden="true"><use href="#i-yout"/></svg>').format(size)

    def need(self, *names: str) -> str:
        """Carry icons that a script shows. Returns nothing to print."""
        self._used.update((name, symbols()[name]) for name in names)
        return ""

    def sprite(self) -> Markup:
        """Return what icons and hatched bars refer to. It comes last in the page, when all of them are known."""
        used = "".join(self._used.values())
        return Markup(  # noqa: S704  # from our own file
            f'<svg id="end" width="0" height="0" aria-hidden="true" class="visually-hidden"><defs>{used}</defs></svg>'
        )
