"""The settings as keywords. Their names and values are the C ABI's; only durations are seconds here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from ._exceptions import InvalidSettingError, UnknownSettingError
from ._request import milliseconds

if TYPE_CHECKING:
    from ._tokens import TokenProvider

__all__ = ["Settings"]


class Settings(TypedDict, total=False):
    """What `Client` and `AsyncClient` take by keyword. A setting that is None is not set."""

    alternate_url: str | None
    """The other endpoint, where the `--s` rule does not tell it."""
    url_form: str | None
    """`"host"` or `"path"`: where the organization's name is. None: the host, where that is not ambiguous."""
    preset: str | None
    """`"dotnet"`: switch and retry as the .NET SDK did."""
    auto_switch: str | bool | None
    """`"auto"` (default), on or off."""
    connect_timeout: float | None
    """Seconds for one address. 10."""
    attempt_timeout: float | None
    """Seconds for one attempt, whole. 120."""
    deadline: float | None
    """Seconds for a call with all attempts and pauses. 300."""
    handler_timeout: float | None
    """Seconds that a call waits for handlers. 5."""
    ca_bundle: str | os.PathLike[str] | None
    """A PEM file with the authorities to trust instead of the system's."""
    tls_verify: bool | None
    connect_to: Mapping[str, str] | str | None
    """`{"host:port": "address:port"}`: where to connect instead. Or curl's form, `"host:port:address:port,…"`."""
    max_connections: int | None
    """An endpoint. 256."""
    idle_timeout: float | None
    """Seconds after which an unused connection is closed. 20."""
    max_connection_age: float | None
    """Seconds. 600, ± 20 %."""
    max_response_headers: int | None
    """Octets. 65536."""
    max_response_body: int | None
    """Octets. 268435456."""
    error_prefix: int | None
    """Octets of an error's body that are read to classify it. 65536."""
    user_agent: str | None
    token_provider: TokenProvider | None
    """Gives the bearer token for an endpoint: any callable, or azure-core's `get_token`."""


_DURATIONS = frozenset(
    ("connect_timeout", "attempt_timeout", "deadline", "handler_timeout", "idle_timeout", "max_connection_age")
)


def to_native(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs of key and text that the C ABI takes. An unknown key goes through: the library knows them all."""
    pairs = []
    for name, value in settings.items():
        if value is None:
            continue
        if name.endswith("_ms"):
            raise UnknownSettingError(
                f"{name}: durations are seconds here, and the setting is {name[:-3]}", kind="unknown_setting"
            )
        if name in _DURATIONS:
            pairs.append((f"{name}_ms", str(milliseconds(value, name, least=0))))
        else:
            pairs.append((name, _text(name, value)))
    return pairs


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return path
    if name == "connect_to" and isinstance(value, Mapping):
        return ",".join(f"{_end(name, origin)}:{_end(name, target)}" for origin, target in value.items())
    raise TypeError(f"{name}: {type(value).__name__} is not a type that a setting has")


def _end(name: str, end: Any) -> str:
    if not isinstance(end, str):
        raise TypeError(f'{name} maps "host:port" to "address:port"')
    if not end.rpartition(":")[2].isdigit():
        raise InvalidSettingError(f'{name}: {end!r} is not "host:port"', kind="invalid_setting")
    return end
