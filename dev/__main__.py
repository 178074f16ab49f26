"""`python -m dev`: the whole stack in this terminal."""

import ctypes
import os
import sys
from signal import SIGTERM

TIED = "--tied"
"""Also stop when the parent process is gone. For `make`, which would otherwise leave us behind when it is killed."""


def main() -> int:
    if TIED in sys.argv[1:] and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(SIGTERM), 0, 0, 0)
    try:
        from dev import supervisor  # here, so that Ctrl-C during the imports says nothing either
    except KeyboardInterrupt:
        return 0
    return supervisor.main(os.environ)


if __name__ == "__main__":
    sys.exit(main())
