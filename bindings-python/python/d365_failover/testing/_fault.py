"""What goes wrong at a side, and which requests it meets."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from .._numbers import number

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\x00-\x08\x0a-\x1f\x7f]*")


def check_seconds(given: object) -> None:
    seconds = number(given, "a time is a number of seconds")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"a time is a finite number of seconds, 0 or more, not {seconds}")


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

    def __post_init__(self) -> None:
        for name, wanted in (("method", str), ("path_contains", str), ("times", int)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, wanted):
                raise TypeError(f"{name}: {wanted.__name__} or None, not {type(value).__name__}")
        if not isinstance(self.status, int) or not isinstance(self.body, bytes):
            raise TypeError("a status is a number, and a body bytes or text")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times: how many requests it meets, at least 1, not {self.times}")
        if not 200 <= self.status <= 599:
            raise ValueError(f"status: 200 to 599, not {self.status}")
        check_seconds(self.seconds)
        for name, text in self.headers.items():
            if not _HEADER.fullmatch(f"{name}: {text}"):
                raise ValueError(f"{name!r}: {text!r} is no header")

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
