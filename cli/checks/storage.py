"""Checks of the object store: a small object is written, read, listed and deleted again."""

import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from cli.checks.finding import Finding, fault, ok
from domain.errors import GatewayError, ServiceUnavailable
from environment import SettingsInvalid
from storage.base import Storage

if TYPE_CHECKING:
    from settings import Settings

PREFIX = "doctor"
"""No account's: maintenance leaves what is below it alone."""
PROBE = b"yout doctor"
_DISK = "see that its disk is mounted and has room, and that this user may write there"


class Diagnosis:
    """Implements `domain.faults.FaultLog`: remembers what the store says is wrong."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None:
        self.lines.append((f"{what} ({where})", remedy))

    def clear(self, where: str) -> None:
        """A fault that is over: nothing lasts within one probe."""


async def check(settings: "Settings") -> list[Finding]:
    from wiring import open_storage

    diagnosis = Diagnosis()
    try:
        storage = open_storage(settings, diagnosis)
        await _probe(storage)
    except SettingsInvalid as invalid:
        return [fault("storage", "; ".join(invalid.problems), "mend the setting")]
    except OSError as error:
        return [fault("storage", f"the folder of outputs cannot be used ({os.strerror(error.errno or 0)})", _DISK)]
    except GatewayError:
        what, remedy = (diagnosis.lines or [("what was written there cannot be read again", _DISK)])[0]
        return [fault("storage", what, remedy)]
    kind = "the S3 bucket" if (settings.storage_url or "").startswith("s3:") else "the folder of outputs"
    return [ok("storage", f"{kind} takes, returns and deletes an object")]


async def _probe(storage: Storage) -> None:
    """Raises `GatewayError` when a step fails; deletes the object in any case."""
    key = f"{PREFIX}/{os.urandom(8).hex()}.txt"

    async def content() -> AsyncIterator[bytes]:
        yield PROBE

    try:
        await storage.put(key, content(), content_type="text/plain", max_bytes=len(PROBE))
        read = b"".join([chunk async for chunk in storage.read(key, 0, len(PROBE))])
        await storage.listed("", 1)
    finally:
        await storage.delete(key)
    if read != PROBE:
        raise ServiceUnavailable
