"""Numbers of the application's."""

from __future__ import annotations

from typing import Any, SupportsFloat

__all__: list[str] = []


def number(given: Any, wanted: str) -> float:
    """Whatever is one: numpy's are no `float`. `wanted` says what is."""
    if type(given) is float or type(given) is int:
        return given
    if isinstance(given, bool) or not isinstance(given, SupportsFloat):
        raise TypeError(f"{wanted}, not {type(given).__name__}")
    return float(given)
