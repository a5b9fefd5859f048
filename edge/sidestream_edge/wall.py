"""The wall between a driver, ours or a third party's, and the agent: the one place that keeps whatever is raised."""

from __future__ import annotations

from types import TracebackType


class Outcome:
    """`with outcome:` ends without an error; what was raised stands in `error`, whatever it is."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return True
