"""What other vendors' tokenizers make of a text or an attachment, at most.

Measured against the tokenizers of DeepSeek and Mistral, which know fewer words than o200k of scripts that are rare in
their training, and fewer runs of one character; images by their vendors' published maxima.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SLACK = 64
COUNTING_ERROR = 0.25
"""Share of our count of a text by which a vendor's own may be lower. An allowance above what vendors publish: tables
of more words than o200k's need up to a fifth fewer tokens, for the languages that they were made for."""
EXACT_ERROR = 0.02
"""The same where o200k is the vendor's table: what is counted per message and tool is an estimate all the same."""
ANY_LENGTH = 10_000_000
"""Of what cannot be seen from here, such as a file behind a link: the context window bounds it."""
_DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class Family:
    """How a vendor counts, beside o200k. `image` is what its largest one counts."""

    factor: float
    image: int
    own_table: bool = True
    """False: o200k is its table, and no text has more tokens than we count."""
    document: int = ANY_LENGTH
    """What a PDF counts at most, however few bytes it has: each page counts as an image and as its text, and some
    hundred bytes can have as many pages as a vendor takes. The context window bounds it."""
    tool_prompt: int = 0
    """What the vendor says to its model when there are tools."""

    def text(self, text: str, count: int) -> int:
        tokens = math.ceil(count * self.factor)
        return max(tokens, _by_bytes(text)) if self.own_table else tokens

    def least(self, count: int) -> int:
        """The fewest tokens that the vendor counts for a text with so many of our tokens."""
        return math.floor(count * (1 - (COUNTING_ERROR if self.own_table else EXACT_ERROR)))

    def attachment(self, part: Mapping[str, Any]) -> int:
        match part.get("type"):
            case "image_url":
                return self.image
            case "input_audio":
                return _bytes_of(part, "input_audio", "data") // 20 + 1
            case "file":
                return max(_bytes_of(part, "file", "file_data"), 0 if _is_text(part) else self.document)
        return ANY_LENGTH


_FAMILIES: Mapping[str, Family] = {
    "openai": Family(1.05, image=15_000, own_table=False),
    "anthropic": Family(1.4, image=4_900, tool_prompt=500),
    "google": Family(1.2, image=2_300),
    "demo": Family(1.3, image=5_000, own_table=False, document=0),
}
_OTHER = Family(1.3, image=5_000)
EMBEDDING = _OTHER
"""Of every vendor: OpenAI counts with an older table here, others with one of their own."""


_INLINE = frozenset({"file_data", "filename"})
_OLDER_PDF = ("data:text/pdf", "data:text/x-pdf")
_PACKED = (".pdf", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".zip", ".doc", ".xls", ".ppt", ".pages")
"""How the names of files end whose text is longer than their bytes."""


def family(vendor: str) -> Family:
    return _FAMILIES.get(vendor, _OTHER)


def _by_bytes(text: str) -> int:
    """A token a digit; one for 2.8 bytes of ASCII, runs of one character included; two for three bytes of the rest."""
    digits = sum(map(text.count, _DIGITS))
    if text.isascii():
        return digits + (len(text) - digits) * 10 // 28
    plain = len(text.encode("ascii", "ignore"))
    rest = len(text.encode()) - plain
    return digits + (plain - digits) * 10 // 28 + rest * 2 // 3


def _is_text(part: Mapping[str, Any]) -> bool:
    """Tell whether a file is text by all that is said of it, so that no vendor takes it for a PDF or unpacks it."""
    file = part.get("file")
    if not isinstance(file, Mapping) or not {name for name in file if file[name] is not None} <= _INLINE:
        return False
    data, name = file.get("file_data"), file.get("filename")
    named_otherwise = isinstance(name, str) and name.strip().lower().endswith(_PACKED)
    is_text = isinstance(data, str) and data.startswith("data:text/") and not data.startswith(_OLDER_PDF)
    return is_text and not named_otherwise


def _bytes_of(part: Mapping[str, Any], kind: str, name: str) -> int:
    """Of what a part carries with it, base64; a page or a second of it is no shorter than what its tokens need."""
    carried = part.get(kind)
    data = carried.get(name) if isinstance(carried, Mapping) else None
    return len(data) * 3 // 4 if isinstance(data, str) else ANY_LENGTH
