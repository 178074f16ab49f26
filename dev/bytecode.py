"""Where the programs of a stack put their bytecode."""

from collections.abc import Mapping
from pathlib import Path


def bytecode(given: Mapping[str, str], state: Path) -> Mapping[str, str]:
    """Put bytecode into the state folder if it may not be written beside its source: compiling takes seconds."""
    if not given.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(state / "bytecode")}
