"""Translates the parts of a message into Gemini's: text, and data or links of images, audio, videos and documents.

A link must be one that anybody can read. Links into our own account at Google (its files, its buckets) are refused:
they would show one caller what another has stored. The type of what a part carries decides what it costs, and a hold
is made by the type of the part: so an image must be an image.
"""

import mimetypes
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from domain.errors import RequestInvalid

_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
_AUDIO = {"wav", "mp3", "mpeg", "aiff", "aac", "ogg", "opus", "flac", "m4a", "webm"}
_DOCUMENTS = ("application/pdf", "text/", "application/json", "application/xml", "application/x-javascript")
_VIDEO_HOSTS = ("youtube.com", "youtu.be")
_OWN_HOSTS = ("googleapis.com", "storage.cloud.google.com")
Part = dict[str, Any]


def part(given: Mapping[str, Any], where: str) -> Part:
    """Translate one part. Raises `RequestInvalid` that names it, or its field, if Gemini has no form for it."""
    kind = given.get("type")
    if kind in _TEXT_PARTS:
        return {"text": _text(given.get("text"), f"{where}.text")}
    if kind == "refusal":
        return {"text": _text(given.get("refusal"), f"{where}.refusal")}
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise _invalid(f"{where}.type", "is not a type that the provider of this model takes")
    return read(given, where)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise RequestInvalid(f"'{where}' must be a string.", param=where, code="invalid_type")
    return value


def _image(given: Mapping[str, Any], where: str) -> Part:
    return _by_url(*_url(given, "image_url", where), "image/", "image/jpeg")


def _video(given: Mapping[str, Any], where: str) -> Part:
    return _by_url(*_url(given, "video_url", where), "video/", "video/mp4")


def _audio_by_url(given: Mapping[str, Any], where: str) -> Part:
    return _by_url(*_url(given, "audio_url", where), "audio/", "audio/mpeg")


def _audio(given: Mapping[str, Any], where: str) -> Part:
    audio = _object(given, "input_audio", where)
    name = audio.get("format", "wav")
    if name not in _AUDIO:
        raise _invalid(f"{where}.input_audio.format", f"must be one of {', '.join(sorted(_AUDIO))}")
    data = _text(audio.get("data"), f"{where}.input_audio.data")
    return _inline(f"audio/{name}", data)


def _file(given: Mapping[str, Any], where: str) -> Part:
    file = _object(given, "file", where)
    if "file_data" not in file:
        raise _invalid(f"{where}.file.file_data", "is required: the provider has no files of yours")
    at = f"{where}.file.file_data"
    data = _text(file["file_data"], at)
    guess = mimetypes.guess_type(str(file.get("filename") or ""))[0] or "application/pdf"
    if data.startswith(("data:", "http:", "https:")):
        return _by_url(data, at, _DOCUMENTS, guess)
    _check_type(guess, _DOCUMENTS, f"{where}.file.filename")
    return _inline(guess, data)


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], Part]] = {
    "image_url": _image,
    "input_audio": _audio,
    "audio_url": _audio_by_url,
    "video_url": _video,
    "file": _file,
}


def _object(given: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = given.get(name)
    if not isinstance(value, dict):
        raise RequestInvalid(f"'{where}.{name}' must be an object.", param=f"{where}.{name}", code="invalid_type")
    return value


def _url(given: Mapping[str, Any], name: str, where: str) -> tuple[str, str]:
    """Return the link, and the name of its field. Some clients give it without an object around it."""
    if isinstance(given.get(name), str):
        return given[name], f"{where}.{name}"
    at = f"{where}.{name}.url"
    return _text(_object(given, name, where).get("url"), at), at


def _by_url(url: str, where: str, kinds: str | tuple[str, ...], default: str) -> Part:
    """Translate a `data:` URL or a public link to something whose type begins with one of `kinds`."""
    if url[:5].lower() == "data:":
        head, comma, data = url[5:].partition(",")
        media_type, *flags = [each.strip() for each in head.split(";")]
        if not comma or "base64" not in map(str.lower, flags):
            raise _invalid(where, "must be a data URL in base64")
        media_type = media_type.lower() or default
        _check_type(media_type, kinds, where)
        return _inline(media_type, data)
    parts = _public(url, where)
    if _is_of(parts, _VIDEO_HOSTS):
        if kinds != "video/":
            raise _invalid(where, "is a link to a video: send it as video_url")
        return {"fileData": {"fileUri": url}}
    guess = mimetypes.guess_type(parts.path)[0]
    if guess is not None:
        _check_type(guess, kinds, where)
    return {"fileData": {"fileUri": url, "mimeType": guess or default}}


def _public(url: str, where: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _invalid(where, "is not a link") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise _invalid(where, "must be a data URL, or an http(s) link that anybody can read")
    if _is_of(parts, _OWN_HOSTS):
        raise _invalid(where, "must not be a link into an account at Google")
    return parts


def _is_of(parts: SplitResult, hosts: tuple[str, ...]) -> bool:
    host = (parts.hostname or "").rstrip(".")
    return any(host == each or host.endswith("." + each) for each in hosts)


def _check_type(media_type: str, kinds: str | tuple[str, ...], where: str) -> None:
    if not media_type.startswith(kinds):
        raise _invalid(where, "has a type of content that this part cannot have")


def _inline(media_type: str, data: str) -> Part:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _invalid(where: str, why: str) -> RequestInvalid:
    return RequestInvalid(f"'{where}' {why}.", param=where)
