"""Checks of the object store: a small object is written, read, listed and deleted again."""

import os
from typing import TYPE_CHECKING

from cli.checks.finding import Finding, fault, ok
from domain.errors import GatewayError
from environment import SettingsInvalid
from storage.probe import probe
from wiring import open_storage

if TYPE_CHECKING:
    from settings import Settings

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
    diagnosis = Diagnosis()
    try:
        storage = open_storage(settings, diagnosis)
        await probe(storage)
    except SettingsInvalid as invalid:
        return [fault("storage", "; ".join(invalid.problems), "mend the setting")]
    except OSError as error:
        return [fault("storage", f"the folder of outputs cannot be used ({os.strerror(error.errno or 0)})", _DISK)]
    except GatewayError:
        what, remedy = (diagnosis.lines or [("what was written there cannot be read again", _DISK)])[0]
        return [fault("storage", what, remedy)]
    kind = "the S3 bucket" if (settings.storage_url or "").startswith("s3:") else "the folder of outputs"
    return [ok("storage", f"{kind} takes, returns and deletes an object")]
