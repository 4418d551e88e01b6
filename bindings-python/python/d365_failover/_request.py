"""From the arguments of `request()` to what the native module takes."""

from __future__ import annotations

import json as _json
import math
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode

from ._exceptions import InvalidArgumentError, LedgerEntryError
from ._keywords import ARGUMENTS
from ._ledger import LedgerEntry
from ._numbers import number
from ._types import CHECKS, DISCOVERS, GUARDED_CREATE, REPLAYS, STREAMING, UPSERT

if TYPE_CHECKING:
    from ._body import AsyncSource, Source
    from ._types import RawRequest

HeaderTypes: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
ParamTypes: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]] | str

_OPERATIONS = {"auto": 0, "read": 1, "idempotent": 2, "guarded": 3, "unsafe": 4}
_MAX_MS = 2**62


def build(
    method: str,
    url: str,
    headers: HeaderTypes | None,
    params: ParamTypes | None,
    content: Any,
    json: Any,
    timeout: float | None,
    operation: str | None,
    source: Source | AsyncSource | None = None,
    connect_timeout: float | None = None,
    attempt_timeout: float | None = None,
    read_timeout: float | None = None,
    guarded_create: bool = False,
    upsert: bool = False,
    tag: str | None = None,
    streaming: bool = False,
) -> RawRequest:
    """`source` is what `content` is read from, where it is read while it is sent."""
    # Of what most calls do not give, nothing is asked that a comparison does not tell: this is in every call.
    pairs = [] if headers is None else list(headers.items()) if type(headers) is dict else header_pairs(headers)
    body: bytes | tuple[int, bool] | None
    if json is not None:
        if content is not None:
            raise TypeError("content and json exclude each other")
        body = _json.dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        if not any(name.lower() == "content-type" for name, _ in pairs):
            pairs.append(("Content-Type", "application/json"))
    elif source is not None:
        body = (length_of(source, pairs), source.rewindable)
    elif content is None or type(content) is bytes:
        body = content
    else:
        body = content.encode() if isinstance(content, str) else bytes(memoryview(content))
    if params is not None:
        url = with_params(url, params)
    flags = STREAMING if streaming else 0
    if guarded_create:
        flags |= GUARDED_CREATE
    if upsert:
        flags |= UPSERT
    whole = None if timeout is None else milliseconds(timeout, "timeout")
    connect = None if connect_timeout is None else milliseconds(connect_timeout, "connect_timeout")
    attempt = None if attempt_timeout is None else milliseconds(attempt_timeout, "attempt_timeout")
    read = None if read_timeout is None else milliseconds(read_timeout, "read_timeout")
    known = 0 if operation is None else operation_of(operation)
    return (method, url, pairs, body, whole, known, flags, tag, None, connect, attempt, read)


def plain(method: str, url: str, headers: dict[str, str] | None, content: bytes | None) -> RawRequest:
    """What `build` makes of a request that has no more than this."""
    pairs = [] if headers is None else list(headers.items())
    return (method, url, pairs, content, None, 0, 0, None, None, None, None, None)


def by_request(client: Any, method: str, url: str, *values: Any) -> Any:
    """A call by the client's `request`, which is told what was said only."""
    named = zip(ARGUMENTS, values, strict=True)
    said = {name: value for name, value in named if value is not None and value is not False}
    return client.request(method, url, **said)


def number_of_write(write: LedgerEntry | int) -> int:
    """The number of a write, as the C ABI has it."""
    number = write.id if isinstance(write, LedgerEntry) else write
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"a write is its LedgerEntry, or its number there, not {type(number).__name__}")
    if not 0 <= number < 2**63:
        raise LedgerEntryError(f"no write on record has the number {brief(number)}", kind="not_available")
    return number


def verifying(
    write: LedgerEntry | int,
    url: str | None,
    headers: HeaderTypes | None,
    timeout: float | None,
    connect_timeout: float | None,
    attempt_timeout: float | None,
) -> RawRequest:
    """The request that asks what became of a write; without a `url` that is the library's, as the method is."""
    if url == "":
        raise InvalidArgumentError("a URL to read is not empty", kind="invalid_argument")
    ledger_id = number_of_write(write)
    pairs = [] if headers is None else header_pairs(headers)
    whole, connect, attempt = times(timeout, connect_timeout, attempt_timeout)
    return ("GET", url or "", pairs, None, whole, 0, 0, None, ledger_id, connect, attempt, None)


def times(
    timeout: float | None, connect_timeout: float | None, attempt_timeout: float | None
) -> tuple[int | None, int | None, int | None]:
    return (
        None if timeout is None else milliseconds(timeout, "timeout"),
        None if connect_timeout is None else milliseconds(connect_timeout, "connect_timeout"),
        None if attempt_timeout is None else milliseconds(attempt_timeout, "attempt_timeout"),
    )


def checking(role: str, timeout: float | None) -> RawRequest:
    """Looks at one endpoint."""
    if not isinstance(role, str) or role not in CHECKS:
        message = f"role: {brief(role)} is neither 'primary' nor 'alternate'"
        raise InvalidArgumentError(message, kind="invalid_argument")
    limit = None if timeout is None else milliseconds(timeout, "timeout")
    return ("GET", "", [], None, None, 0, CHECKS[role], None, None, None, limit, None)


def discovering() -> RawRequest:
    """The request that asks what the organization's WSDL says about failover."""
    return ("GET", "", [], None, None, 0, DISCOVERS, None, None, None, None, None)


def length_of(source: Source | AsyncSource, headers: list[tuple[str, str]]) -> int:
    """How long a body is. Where its source does not know, a header may say; the library writes it itself."""
    told = [pair[1] for pair in headers if pair[0].lower() == "content-length"]
    if source.length >= 0 or not told:
        return source.length
    headers[:] = [(name, value) for name, value in headers if name.lower() != "content-length"]
    if len(told) > 1 or not (told[0].isascii() and told[0].isdecimal()):
        raise InvalidArgumentError(f"Content-Length is a number of bytes, not {told[0]!r}", kind="invalid_argument")
    return int(told[0])


def is_read(request: RawRequest) -> bool:
    """Whether a call changes nothing, as far as can be told without its headers."""
    if request[6] & REPLAYS:
        return False
    operation = request[5]
    return operation == _OPERATIONS["read"] or (
        operation == _OPERATIONS["auto"] and request[0].upper() in ("GET", "HEAD")
    )


def operation_of(operation: str | None) -> int:
    if operation is None:
        return 0
    try:
        return _OPERATIONS[operation]
    except (KeyError, TypeError):
        known = ", ".join(_OPERATIONS)
        raise InvalidArgumentError(f"operation is one of {known}, not {operation!r}", kind="invalid_argument") from None


def header_pairs(headers: HeaderTypes) -> list[tuple[str, str]]:
    if type(headers) is dict:
        return list(headers.items())
    multi = getattr(headers, "multi_items", None)
    if multi is not None:
        return list(multi())
    return _pairs("headers", headers)


def _pairs(what: str, given: Any) -> list[Any]:
    pairs = given.items() if isinstance(given, Mapping) else given
    if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
        raise TypeError(f"{what} are a mapping, or pairs of a name and a value, not {type(given).__name__}")
    made = list(pairs)
    for pair in made:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise _no_pair(what, pair)
    return made


def _no_pair(what: str, given: Any) -> TypeError:
    """Without what is given: it may be a credential."""
    size = f" of {len(given)}" if isinstance(given, tuple) else ""
    return TypeError(f"{what} are pairs of a name and a value, not {type(given).__name__}{size}")


def with_params(url: str, params: ParamTypes) -> str:
    """Appends to the query. `$`, commas and quotes stay readable, as OData's own URLs have them."""
    if isinstance(params, str):
        query = params.removeprefix("?")
    else:
        flat = [
            (key, _param(item))
            for key, value in _pairs("params", params)
            for item in (value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else (value,))
        ]
        query = urlencode(flat, safe="$,()'/:@", quote_via=quote)
    if not query:
        return url
    joint = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{joint}{query}"


def _param(value: Any) -> str | bytes:
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def wrongly_typed(request: RawRequest) -> TypeError | None:
    """What the native module has not taken, by its name: it knows places only. Looked for afterwards, so that a call
    which is right costs nothing."""
    said: list[tuple[str, Any]] = [("the method", request[0]), ("the URL", request[1]), ("tag", request[7] or "")]
    for pair in request[2]:
        if not isinstance(pair, tuple) or len(pair) != 2:
            return _no_pair("headers", pair)
        said += (("the name of a header", pair[0]), (f"the value of the header {brief(pair[0])}", pair[1]))
    wrong = next(((what, value) for what, value in said if not isinstance(value, str)), None)
    return None if wrong is None else TypeError(f"{wrong[0]} is text, not {type(wrong[1]).__name__}")


def brief(value: Any) -> str:
    """A value in a message: cut, and also if it is a number of more digits than Python writes."""
    try:
        return reprlib.repr(value)
    except Exception:
        return f"this {type(value).__name__}"


def milliseconds(seconds: float, what: str, *, least: int = 1) -> int:
    """Float seconds as the C ABI has them, rounded up."""
    seconds = number(seconds, f"{what} is a number of seconds")
    if not 0 <= seconds <= _MAX_MS / 1000 or (least and seconds == 0):
        bound = "a finite number of seconds above 0" if least else "a finite number of seconds, 0 or more"
        raise InvalidArgumentError(f"{what} is {bound}, not {brief(seconds)}", kind="invalid_argument")
    return max(least, math.ceil(seconds * 1000))
