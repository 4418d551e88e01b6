"""What goes wrong at a side, and which requests it meets."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class Fault:
    """A fault that is set. `clear()` takes it away."""

    kind: str
    method: str | None = None
    path_contains: str | None = None
    times: int | None = None
    """How many requests it still meets; `None`: all."""
    met: int = 0
    """How many it has met."""
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    commit: bool = False
    seconds: float = 0.0
    cleared: bool = False

    def clear(self) -> None:
        """It meets no further request. Of `Side.refuse` and `Side.black_hole`: use `Side.recover`."""
        self.cleared = True

    def meets(self, method: str, target: str) -> bool:
        """Whether it meets this request, which is then counted."""
        if self.cleared or self.times == 0:
            return False
        if self.method is not None and self.method.upper() != method:
            return False
        if self.path_contains is not None and self.path_contains not in target:
            return False
        if self.times is not None:
            self.times -= 1
        self.met += 1
        return True
