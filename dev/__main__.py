"""`python -m dev`: the whole stack in this terminal."""

import ctypes
import os
import sys
from signal import SIGTERM

TIED = "--tied"
"""The option to stop also when the parent process has ended, so that nothing stays when `make` is killed."""


def main() -> int:
    parent = os.getppid()
    try:
        from dev import supervisor  # here, so that Ctrl-C during the imports prints no traceback
        from dev.child import PR_SET_PDEATHSIG
    except KeyboardInterrupt:
        return 0
    if TIED in sys.argv[1:] and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            return 0
    return supervisor.main(os.environ)


if __name__ == "__main__":
    sys.exit(main())
