"""The error of a stack that cannot run."""


class CannotStart(Exception):
    """Why the stack cannot run, for the user at the terminal."""
