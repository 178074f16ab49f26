"""The catalog of one process, and how it is read again."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import structlog

from domain.catalog import Catalog, CatalogInvalid

log = structlog.get_logger(__name__)


class CurrentCatalog:
    """The catalog of this process. A reload that fails changes nothing."""

    def __init__(self, load: Callable[[], Catalog]) -> None:
        """Loads the catalog. Raises `CatalogInvalid`."""
        self._load = load
        self.current = load()

    def __call__(self) -> Catalog:
        return self.current

    def reload(self) -> None:
        """Load the catalog again. If it is not valid, nothing changes, and its problems are logged."""
        try:
            self.current = self._load()
            log.info("catalog reloaded", models=len(self.current.active_models()))
        except CatalogInvalid as invalid:
            log.error("catalog not reloaded", problems=list(invalid.problems))

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Reload the catalog on SIGHUP while the context is open. Signals reach the main thread's loop alone."""
        if threading.current_thread() is not threading.main_thread():  # a server within a test
            yield
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
