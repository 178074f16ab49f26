"""`python -m api`: one API process."""

import gc
import sys

import exits


def main() -> int:
    gc.disable()  # what is imported stays, and to look through it again and again takes a sixth of the start
    from server import main as serve

    return serve()


if __name__ == "__main__":
    sys.exit(exits.run(main))
