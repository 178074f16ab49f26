"""The demo model's answers: made by rules, equal for equal words, and recognisable as a demo's."""

import ast
import operator
import re
import zlib
from collections.abc import Callable
from fractions import Fraction

QUOTED = 160

_HAIKUS = (
    "A door made of light,\none key opens every room.\nThe meter ticks once.",
    "Words leave without names,\nanswers come back the same way.\nNobody kept them.",
    "The job sleeps, the night\ntakes the server and the lamp.\nMorning: it goes on.",
)
_POEM = (
    "I have no key and I have no cloud,\n"
    "I live in your server and do not speak loud.\n"
    "I count what I say, every word, to the letter;\n"
    "give me a key, and my friends will speak better."
)
_JOKE = "Why did the demo model cross the road? Because the rule for chickens came before the rule for roads."
_CODE = (
    "I know one piece of code by heart, and it runs:\n\n```python\ndef fibonacci(count: int) -> list[int]:\n"
    "    numbers = [0, 1]\n    while len(numbers) < count:\n        numbers.append(numbers[-1] + numbers[-2])\n"
    "    return numbers[:count]\n\n\nprint(fibonacci(10))  # [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]\n```"
)
_WHO = (
    "I am the demo model that ships with this server. I run inside it, without a key and without a network, so my "
    "answers are made by rules and not by a language model. I can do sums, count, write a haiku, call your tools and "
    "fill in your JSON schema."
)
_REAL = (
    "To talk to a real model, set a provider's key, such as OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or "
    "OPENROUTER_API_KEY, and start the server again: GET /v1/models then lists what it opens."
)
_HELLO = "Hello! It is good to hear from you. "
_OPENINGS = ("", "Put differently: ", "Or, in other words: ", "Once more, with feeling: ")

_READ = 4000
"""The number of characters of a message that are read."""
_SIGNS = str.maketrans("\u00d7\u00f7\u2212", "*/-")
_SUM = re.compile(r"[\d(][\d\s.+*/()-]{1,60}")
_QUESTION = re.compile(r"\b(what|calculate|compute|solve|sum|how much|equals?)\b|=|^[\W\d]*$", re.IGNORECASE)
_COUNT = re.compile(r"\bcount\b.{0,30}?\bto (\d{1,4})\b", re.IGNORECASE | re.DOTALL)
_MAX_COUNTED = 1000
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def answer(text: str, variant: int = 0) -> str:
    """Return the answer to a message. Each `variant` begins differently."""
    text = text[:_READ]
    reply = _sum(text) or _counted(text) or _known(text, variant)
    return _OPENINGS[variant % len(_OPENINGS)] + (reply or _about(text))


def after_tool(result: str) -> str:
    return f"The tool answered: {_shortened(result)}\n\nThat is all a demo can make of it. {_REAL}"


def _known(text: str, variant: int) -> str | None:
    lowered = text.lower()
    haiku = _HAIKUS[(zlib.crc32(text.encode(errors="replace")) + variant) % len(_HAIKUS)]
    for pattern, answer in (
        (r"\bhaikus?\b", haiku),
        (r"\bpoems?\b|\brhymes?\b", _POEM),
        (r"\bjokes?\b", _JOKE),
        (r"\b(write|show|give)\b.{0,60}\b(code|python|program|script|snippet|function)\b", _CODE),
        (r"\bwho are you\b|\bwhat are you\b|\bwhat can you do\b|^\s*help\b", f"{_WHO} {_REAL}"),
        (r"^\W*(hi|hello|hey|hallo|good (morning|afternoon|evening))\b[^a-z]*(there|you)?\W*$", f"{_HELLO}{_WHO}"),
        (r"^\W*(many )?thank(s| you)\b.{0,30}$", "You are welcome. It was a pleasure, as far as rules can feel one."),
        (r"^\W*(ping|test)\W*$", "Pong. The whole way works: key, credits, stream and receipt."),
    ):
        if re.search(pattern, lowered):
            return answer
    return None


def _about(text: str) -> str:
    quoted = _shortened(text)
    return f"You wrote: “{quoted}”\n\n{_WHO}\n\n{_REAL}" if quoted else f"You sent no words. {_WHO}"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= QUOTED else f"{line[:QUOTED].rstrip()}…"


def _counted(text: str) -> str | None:
    match = _COUNT.search(text)
    if match is None:
        return None
    return " ".join(str(number) for number in range(1, min(int(match[1]), _MAX_COUNTED) + 1))


def _sum(text: str) -> str | None:
    """Return the exact result of an arithmetic expression in the text. "Pages 10-12" is not one."""
    if not _QUESTION.search(text):
        return None
    for match in _SUM.finditer(text.translate(_SIGNS)):
        expression = match[0].strip().rstrip(".")
        try:
            total = _evaluated(ast.parse(expression, mode="eval").body)
        except (SyntaxError, ValueError, ZeroDivisionError):
            continue
        return f"{expression} = {_written(total)}"
    return None


def _evaluated(node: ast.expr) -> Fraction:
    match node:
        case ast.BinOp(left, sign, right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_operand(left), _operand(right))
        case _:
            raise ValueError  # one number is no expression


def _operand(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(int() | float() as number) if not isinstance(number, bool):
            return Fraction(str(number))
        case ast.UnaryOp(ast.USub(), inner):
            return -_operand(inner)
        case _:
            return _evaluated(node)


def _written(total: Fraction) -> str:
    if total.denominator == 1:
        return str(total.numerator)
    return f"{float(total):.10g}"
