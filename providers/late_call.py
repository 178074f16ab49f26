"""A call that is returned before it begins: it waits for something first."""

from providers.base import UpstreamCall


class LateCall:
    """Has of `providers.base.UpstreamCall` what is the same for each: a pause holds from before the beginning."""

    def __init__(self) -> None:
        self._call: UpstreamCall | None = None
        self._paused = False

    def _begin(self, call: UpstreamCall) -> None:
        self._call = call
        if self._paused:
            call.pause()

    def pause(self) -> None:
        self._paused = True
        if self._call is not None:
            self._call.pause()

    def resume(self) -> None:
        self._paused = False
        if self._call is not None:
            self._call.resume()
