import pytest

from providers.late_call import LateCall


class Recorded:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def pause(self) -> None:
        self.seen.append("pause")

    def resume(self) -> None:
        self.seen.append("resume")

    def close(self) -> None:
        self.seen.append("close")


class Late(LateCall):
    def begin(self, call: Recorded) -> None:
        self._begin(call)


@pytest.mark.parametrize(("before", "seen"), [("", []), ("p", ["pause"]), ("pr", []), ("prp", ["pause"])])
def test_a_pause_holds_from_before_the_beginning(before: str, seen: list[str]) -> None:
    late, call = Late(), Recorded()
    for step in before:
        late.pause() if step == "p" else late.resume()
    late.begin(call)
    assert call.seen == seen
    late.resume()
    late.pause()
    assert call.seen == [*seen, "resume", "pause"]
