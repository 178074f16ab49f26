"""What an operator reads of faults that last."""


class FaultLines:
    """A `FaultLog` without pauses: each report is a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, what: str, *, where: str, remedy: str, **_: object) -> None:
        assert remedy
        self.lines.append(f"{where}: {what}")

    def clear(self, where: str) -> None:
        self.lines.append(f"{where}: mended")
