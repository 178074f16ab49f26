"""Records that a step was done, so that a start that changes nothing is quick."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from dev import files


@dataclass(frozen=True)
class Done:
    """A file in the folder that the step changed. It is valid for one command and the sources that it depends on."""

    mark: Path
    command: tuple[str, ...]
    sources: tuple[Path, ...]
    """Files and folders. A folder stands for all that is in it."""

    @property
    def already(self) -> bool:
        return self.mark.exists() and self.mark.read_text() == self._fingerprint()

    def note(self) -> None:
        files.write(self.mark, self._fingerprint())

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(repr(self.command).encode())
        for source in self.sources:
            paths = [source] if source.is_file() else sorted(source.rglob("*"))
            for file in paths:
                if file.suffix in (".py", ".sql"):
                    digest.update(file.read_bytes())
        return digest.hexdigest()
