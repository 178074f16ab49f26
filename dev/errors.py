"""What the stack says when it cannot run."""


class CannotStart(Exception):
    """A reason to give up, in words for the person in front of the terminal."""
