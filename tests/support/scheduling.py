"""Which process of a run gets which file of tests next."""

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import PurePath

from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

ALONE = ("contracts", "replay", "unit")
"""Folders whose tests start nothing: they come last, so that no process waits for another one's long file."""
YIELDING = 5
"""How nice the process in the background is to all others."""


class ByFolder(LoadFileScheduling):  # type: ignore[misc]  # not typed
    """A process stays in its folder, whose servers it has started. Folders that wait run beside those that compute.

    The process in the background computes while those wait. It starts nothing: its servers would be as nice as it is.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        last = {other: next(reversed(units)) for other, units in self.assigned_work.items() if units}
        own = folder_of(last.pop(node)) if node in last else ""
        if in_background(node.gateway.id, self.numnodes):
            chosen = next((file for file in self.workqueue if folder_of(file) in ALONE), None)
        else:
            chosen = next_file(self.workqueue, own, {folder_of(file) for file in last.values()})
        if chosen is None:
            node.shutdown()
            return
        self.workqueue.move_to_end(chosen, last=False)
        super()._assign_work_unit(node)


def in_background(process: str, count: int) -> bool:
    """Whether this one, of so many, only runs what starts nothing."""
    return count > 2 and process == f"gw{count - 1}"


def folder_of(file: str) -> str:
    """Below `tests`."""
    return PurePath(file).parts[1]


def next_file(waiting: Iterable[str], own: str, others: Collection[str]) -> str:
    """Return the first file that waits in the process' own folder, in one where no other is, or in the fullest."""
    files = list(waiting)
    left = Counter(map(folder_of, files))

    def rank(folder: str) -> tuple[bool, bool, bool, int]:
        return (folder in ALONE, folder != own, folder in others, -left[folder] if folder in others else 0)

    folder = min(left, key=rank)
    return next(file for file in files if folder_of(file) == folder)
