"""The user under which a server runs. PostgreSQL refuses root, and a user id without a name."""

import ctypes
import os
import pwd
import subprocess
from pathlib import Path
from typing import Protocol

from dev.errors import CannotStart

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
THROUGH_FOR_ALL = 0o001


class Identity(Protocol):
    """A user to run a server as. `become` runs between fork and exec; `owner` is the user id of the server's files."""

    owner: int

    def become(self) -> None: ...

    def admit(self, folder: Path) -> None:
        """Let the server reach `folder`."""
        ...


class Ourselves:
    """An ordinary user: nothing to change."""

    def __init__(self) -> None:
        self.owner = os.geteuid()

    def become(self) -> None:
        return None

    def admit(self, folder: Path) -> None:
        give(folder, self.owner)


class Namespaced:
    """This user under another id, in a user namespace. It needs no privilege, and no file changes its owner."""

    def __init__(self) -> None:
        self.owner = os.geteuid()
        self._group = os.getegid()
        self._libc = ctypes.CDLL(None, use_errno=True)

    def become(self) -> None:
        if self._libc.unshare(CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{NOBODY} {self.owner} 1")
        _write("/proc/self/gid_map", f"{NOBODY} {self._group} 1")

    def admit(self, folder: Path) -> None:
        give(folder, self.owner)

    def works(self, program: Path) -> bool:
        """Try the program in a user namespace: container runtimes often forbid them."""
        try:
            tried = subprocess.run([program, "-V"], preexec_fn=self.become, capture_output=True, check=False)
        except (subprocess.SubprocessError, OSError):
            return False
        return tried.returncode == 0


class Nobody:
    """The user `nobody`, for root where namespaces are forbidden."""

    owner = NOBODY

    def become(self) -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    def admit(self, folder: Path) -> None:
        """Make `nobody` the owner of `folder`. Every user may then enter it and the state folder, but not list them."""
        for ours in (folder, folder.parent):
            ours.chmod(ours.stat().st_mode | THROUGH_FOR_ALL)
        for parent in folder.resolve().parents:
            if not parent.stat().st_mode & THROUGH_FOR_ALL:
                raise CannotStart(
                    f"PostgreSQL does not run as root, user namespaces are forbidden on this machine, and the user "
                    f"nobody cannot pass through {parent}. Run as an ordinary user, or set YOUT_STATE_DIR to a "
                    f"folder that every user can reach."
                )
        give(folder, self.owner)


def choose(program: Path) -> Identity:
    """Return the first of the three identities with which `program` runs on this machine."""
    root = os.geteuid() == 0
    if not root and _has_name():
        return Ourselves()
    namespaced = Namespaced()
    if namespaced.works(program):
        return namespaced
    if root:
        return Nobody()
    raise CannotStart(
        f"PostgreSQL needs a named user: user id {os.geteuid()} has no entry in /etc/passwd, and user namespaces "
        f"are forbidden on this machine. Run as a user that has a name."
    )


def give(folder: Path, owner: int) -> None:
    """Make `owner` own everything below: an earlier start may have run under another identity."""
    if os.geteuid() != 0 or folder.stat().st_uid == owner:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def _has_name() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
