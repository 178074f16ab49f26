"""`python -m api`: one API process."""

import sys

import exits
from server import main

if __name__ == "__main__":
    sys.exit(exits.run(main))
