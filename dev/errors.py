"""The error of a stack that cannot run."""


class CannotStart(Exception):
    """Why the stack cannot run, for the user at the terminal: a line, and what a program wrote."""

    def __init__(self, line: str, output: str = "") -> None:
        super().__init__(f"{line}:\n{output}" if output else line)
        self.line = line
