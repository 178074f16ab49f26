"""Answers whose words the prompt prescribes, and answers about earlier messages."""

import re

MAX_READ = 4000
MAX_SENTENCE = 400

_QUOTED = r"[\"'`\u201c\u2018]"
_UNQUOTED = r"[\"'`\u201d\u2019]"
_VERB = r"(?:reply|respond|answer|say|write|output|return|print|repeat|echo|type)"
_FILLER = (
    r"(?:\s+(?:back|me|with|only|just|exactly|precisely|nothing|but|the|this|these|one|single|following|exact|word|words"
    r"|text|string|phrase|sentence|token|number|message|letter|and|else|in|lowercase|uppercase|verbatim|to))*"
)
_EXACT = re.compile(
    rf"\b{_VERB}(?P<how>{_FILLER})\s*:?\s*(?:{_QUOTED}(?P<quoted>.+?){_UNQUOTED}(?=\W|$)|(?P<plain>\S[^\n]*))",
    re.IGNORECASE,
)
_BINDING = re.compile(r"\b(?:exactly|only|just|precisely|verbatim|nothing|following|word|words|phrase|string|text)\b")
_AFTER_ME = re.compile(r"\b(?:repeat|say) (?:after me|this)[:,]?\s+(?P<plain>\S[^\n]*)", re.IGNORECASE)
_SAY_THIS = re.compile(r"^\W*(?:please )?say (?P<plain>this is a test|hello|hi|yes|no|ok|pong|ping)\W*$", re.IGNORECASE)
_TAIL = re.compile(
    r"(?:[,.;]?\s*(?:and|with)?\s*(?:nothing (?:else|more)|no (?:other|extra|more) \w+|no punctuation|please|only"
    r"|without .*|do not .*|don't .*)\W*$)|(?<=\w)[.!](?:\s.*)?$",
    re.IGNORECASE,
)
_FACT = re.compile(
    r"\b(?:my|the|our|this)\s+(?P<what>[a-z][a-z ]{1,40}?)\s*(?:\bis\b|=|:|\bwas\b)\s*(?P<value>[^\n,;!?]{1,80})",
    re.IGNORECASE,
)
_TO_REMEMBER = re.compile(
    r"\bremember\b(?:\s+(?:that|this|the|a|my))*\s*(?P<what>number|word|code|name|color|colour|city|animal|phrase|key)?"
    r"(?:\s+is)?\s*:?\s*(?P<value>[^\s.,;!?][^\n.,;!?]{0,60})",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\b(?:i|we)(?: have|'ve)(?: got)?\s+(?P<value>[0-9]{1,6}|an?|one|two|three|four|five|six|seven|eight|nine|ten"
    r"|eleven|twelve|many|several|no)\s+(?P<what>[a-z][a-z ]{1,40})",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(r"\bhow many (?P<what>[a-z]{2,30})\b", re.IGNORECASE)
_PLACE = re.compile(r"\bi (?P<verb>live|work|study) (?P<value>(?:in|at|near) [^\n.,;!?]{1,60})", re.IGNORECASE)
_WHERE = re.compile(r"\bwhere (?:do|did) i (?P<verb>live|work|study)\b", re.IGNORECASE)
_AGE = re.compile(r"\bi(?: am|'m) (?P<value>[0-9]{1,3})(?: years old)?\b", re.IGNORECASE)
_HOW_OLD = re.compile(r"\bhow old am i\b|\bwhat is my age\b", re.IGNORECASE)
_BRITISH = re.compile(r"\b(col|fav|flav|neighb|hon)our", re.IGNORECASE)
_BEFORE = re.compile(
    r"\b(?:what (?:did|have) i (?:just )?(?:say|said|ask|asked|write|written|tell|told)"
    r"|my (?:previous|last|first|earlier) (?:message|question|sentence|words)"
    r"|(?:previous|last|first) (?:thing|message|question) (?:i|that i))",
    re.IGNORECASE,
)


def words_to_say(text: str) -> str | None:
    """Return the words that a text prescribes (`OK` for "Reply with exactly OK"), or None."""
    text = text[:MAX_READ]
    if match := _SAY_THIS.search(text):
        return match["plain"].strip()
    if match := _AFTER_ME.search(text):
        return _trimmed(match["plain"])
    for match in _EXACT.finditer(text):
        if match["quoted"]:
            return match["quoted"][:MAX_SENTENCE]
        words = _trimmed(match["plain"])
        if _BINDING.search(match["how"].lower()) and any(map(str.isalnum, words)):
            return words
    return None


def recalled(question: str, earlier: list[str]) -> str | None:
    """Return the answer to the question from one of the user's earlier messages, or None."""
    question = question[:MAX_READ]
    if not earlier:
        return None
    if _BEFORE.search(question):
        quoted = earlier[0] if re.search(r"\bfirst\b", question, re.IGNORECASE) else earlier[-1]
        return f"You wrote: \u201c{' '.join(quoted.split())[:MAX_SENTENCE]}\u201d"
    question, earlier = _american(question), [_american(message[:MAX_READ]) for message in earlier]
    if answer := _of_the_user(question, earlier):
        return answer
    if not re.search(r"\b(what|which|who|recall|repeat|remember|tell me)\b", question, re.IGNORECASE):
        return None
    for message in reversed(earlier):
        for match in (*_FACT.finditer(message), *_TO_REMEMBER.finditer(message)):
            what = " ".join((match["what"] or "that").lower().split())
            if what == "that" or re.search(rf"\b{re.escape(what.split()[-1])}\b", question, re.IGNORECASE):
                return f"Your {what} is {_trimmed(match['value'])}." if what != "that" else _trimmed(match["value"])
    return None


def _of_the_user(question: str, earlier: list[str]) -> str | None:
    """What the user has, where the user is, and how old."""
    text = "\n".join(reversed(earlier))
    if (match := _HOW_MANY.search(question)) is not None:
        what = match["what"].lower()
        for match in _COUNTED.finditer(text):
            if re.search(rf"\b{re.escape(what)}\b", match["what"].lower()):
                return f"You have {match['value']} {what}."
    if (place := _WHERE.search(question)) is not None:
        for match in _PLACE.finditer(text):
            if match["verb"].lower() == place["verb"].lower():
                return f"You {place['verb'].lower()} {match['value'].strip()}."
    if _HOW_OLD.search(question) and (age := _AGE.search(text)):
        return f"You are {age['value']} years old."
    return None


def _american(text: str) -> str:
    """One spelling of words that have two: a question may have the other."""
    return _BRITISH.sub(lambda match: f"{match[1]}or", text)


def _trimmed(text: str) -> str:
    """Remove phrases such as "and nothing else", and quotation marks around the text."""
    while (shorter := _TAIL.sub("", text.strip())) != text:
        text = shorter
    return text.strip().strip("\"'`\u201c\u201d\u2018\u2019")[:MAX_SENTENCE]
