"""What processes have used, from /proc: a process with all that descend from it."""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def fields(stat: str) -> list[str]:
    """Of /proc/<pid>/stat, from the state on: the name before it may contain anything."""
    return stat[stat.rindex(")") + 2 :].split()


def tree(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            children.setdefault(int(fields((folder / "stat").read_text())[1]), []).append(int(folder.name))
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += children.get(one, [])


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, with its members that have ended."""
    ticks = 0
    for one in tree(pid):
        with suppress(OSError):
            stat = fields(Path(f"/proc/{one}/stat").read_text())
            ticks += sum(int(stat[n]) for n in (11, 12, 13, 14))
    return ticks / TICKS


def running_seconds(pid: int) -> float:
    """The same to the nanosecond, of the threads that are alive: for what takes less than a tick."""
    nanoseconds = 0
    for one in tree(pid):
        for thread in Path(f"/proc/{one}/task").glob("*/schedstat"):
            with suppress(OSError):
                nanoseconds += int(thread.read_text().split()[0])
    return nanoseconds / 1e9


def memory(pid: int) -> int:
    """Resident bytes of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def of_tree(pid: int) -> int:
    total = 0
    for one in tree(pid):
        with suppress(OSError):
            total += memory(one)
    return total


def allow_files() -> None:
    """As many open files as we may have: a stream through the gateway takes four."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
