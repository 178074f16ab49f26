"""The limits of a child program. It sets them itself, after it has loaded all that it needs."""

import importlib
import os
import pkgutil
import resource
from types import ModuleType

NICE = 10


def set_limits(*, cpu_seconds: int, memory_bytes: int) -> None:
    """From here on the program opens no file and no socket, writes no file, and ends when it takes too much.

    Call it with all modules imported (`import_all`): an import opens files. What is open, as its pipes are, stays open.
    """
    os.nice(NICE)
    for name, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(name, (limit, limit))


def import_all(package: ModuleType) -> None:
    """Import the modules of a package that it would import when it needs them."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
