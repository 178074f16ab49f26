"""Answers that models write, as long as wanted, in pieces as small as tokens."""

import re
from collections.abc import Iterator
from itertools import count, islice

_PIECE = re.compile(r"\s*\w{1,6}|\s*[^\w\s]|\s+")
_CHAPTER = """## Part {n}: what a gateway counts

A gateway stands between *programs* and models. It counts **what passes through it**: tokens in, tokens out, and the
`credits` that both of them cost. Part {n} of this answer says how, with a [link](https://example.com/{n}) to more.

- The hold comes first: it covers the worst case of call {n}.
- The charge follows, and is never larger than the hold.
  - What is left of it comes back.
  - A call that failed costs nothing.
- Both are lines of a ledger, whose sum is zero.

```python
def cost_{n}(tokens: int, rate: Decimal) -> int:
    \"\"\"Round up, once, to a whole credit.\"\"\"
    exact = rate * tokens / 1000
    return max(MINIMUM, int(exact.to_integral_value(ROUND_CEILING)))
```

| meter | count | credits |
|---|--:|--:|
| input | {n}20 | 36 |
| cached input | {n}0 | 1 |
| output | {n}5 | 22 |

1. Count the input before the provider is asked.
2. Relay what the provider writes, für naïve readers and for 東京.
3. Settle, and say what it came to: {n} calls, no more.

> A balance is what is left after all of them.

"""
_FUNCTION = """
def part_{n}(values: Sequence[int]) -> int:
    total = 0
    for place, value in enumerate(values, {n}):
        if value % 2:  # odd ones count
            total += place * value
    return total

"""
_SENTENCE = "Sentence {n} of a paragraph that has no end says *nothing new*, and says it with `code` in between. "
_OPENING = {"markdown": "", "fence": "```python\n", "paragraph": ""}
_ROUND = {"markdown": _CHAPTER, "fence": _FUNCTION, "paragraph": _SENTENCE}
KINDS = tuple(_ROUND)
"""`markdown`: all that Markdown has, in short blocks. `fence` and `paragraph`: one block alone."""


def tokens(kind: str, number: int) -> list[str]:
    """Return so many pieces of an answer of a kind."""
    return list(islice(_pieces(kind), number))


def _pieces(kind: str) -> Iterator[str]:
    yield from _PIECE.findall(_OPENING[kind])
    for n in count(1):
        yield from _PIECE.findall(_ROUND[kind].replace("{n}", str(n)))
