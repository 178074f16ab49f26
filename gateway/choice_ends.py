"""What ends a choice, apart from what may be sent before the charge has committed."""

from providers.base import Delta


def split(delta: Delta) -> tuple[Delta | None, Delta | None]:
    """Split a delta into what may be sent now and what ends a choice. Both keep the order of the text."""
    if not delta.finished:
        return delta, None
    now, last = [], []
    for choice in delta.chunk["choices"]:
        if choice["index"] not in delta.finished:
            now.append(choice)
            continue
        if choice.get("delta") or choice.get("logprobs"):
            now.append(choice | {"finish_reason": None})
            choice = {name: v for name, v in choice.items() if name != "logprobs"} | {"delta": {}}
        last.append(choice)
    beside = {name: value for name, value in delta.chunk.items() if name != "choices"}
    sent = Delta({"choices": now, **beside}, delta.text) if now else None
    native = None if now else delta.native
    return sent, Delta({"choices": last, **beside}, finished=delta.finished, native=native)
