"""How a client's methods hand on what they are given, and what somebody meant who gives one a keyword that it does not
have."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Sized
from typing import Any, TypeVar, cast

__all__: list[str] = []

_BODY = "content: bytes, text, a file, an iterable of bytes; or json"
_CLIENT = "the client's setting"
_ELSEWHERE = {
    "data": _BODY,
    "body": _BODY,
    "form": _BODY,
    "files": _BODY,
    "query": "params",
    "allow_redirects": f"{_CLIENT} max_redirects",
    "follow_redirects": f"{_CLIENT} max_redirects",
    "max_redirects": f"{_CLIENT} max_redirects",
    "verify": f"{_CLIENT} tls_verify, or ca_bundle for a file",
    "ssl": f"{_CLIENT} tls_verify, or ca_bundle for a file",
    "verify_ssl": f"{_CLIENT} tls_verify, or ca_bundle for a file",
    "cert": f"{_CLIENT} client_certificate",
    "proxy": f"{_CLIENT} proxy",
    "proxies": f"{_CLIENT} proxy",
    "auth": f'{_CLIENT} token_provider, or headers={{"Authorization": …}}',
    "token": f'{_CLIENT} token_provider, or headers={{"Authorization": …}}',
    "token_provider": f'{_CLIENT} token_provider, or headers={{"Authorization": …}}',
    "cookies": 'headers={"Cookie": …}',
    "stream": "client.stream(method, url), with a block",
    "deadline": "timeout: seconds for the whole call",
    "retries": f"{_CLIENT} max_attempts",
    "max_retries": f"{_CLIENT} max_attempts",
    "max_attempts": f"{_CLIENT} max_attempts",
    "raise_for_status": "response.raise_for_status()",
    "hooks": f"{_CLIENT} prepare, and client.on_…(handler)",
    "prepare": f"{_CLIENT} prepare",
    "if_match": 'headers={"If-Match": …}',
    "etag": 'headers={"If-Match": …}',
}
_NO_BODY = ("content", "json")


ARGUMENTS = (
    "headers",
    "params",
    "content",
    "json",
    "timeout",
    "connect_timeout",
    "attempt_timeout",
    "read_timeout",
    "operation",
    "guarded_create",
    "upsert",
    "tag",
)
"""What a client's `_ask` takes after the method and the URL, in its order."""

_SENDS = """
def make(refused):
    absent = object()
    {begin}def {name}({placed}, _by_place=absent, {named}, **unknown):
        if unknown or _by_place is not absent:
            refused({placed}, *([] if _by_place is absent else [_by_place]), **unknown)
        return {end}{ask}, url, {values})
    return {name}
"""

Method = TypeVar("Method", bound=Callable[..., Any])


def sends(method: Method) -> Method:
    """Makes the method that is declared here: it hands what it is given on to `_ask`.

    By place, which costs half of what names do; and it takes whatever it is given, because one that looks after
    another costs as much again. The default of what is given by name only is looked up in a dictionary, in each call:
    so nothing is, and `_by_place` finds out. `request` is what a subclass's own may call: it goes through no other.
    """
    name, parameters = method.__name__, inspect.signature(method).parameters.values()
    named = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    is_late = inspect.iscoroutinefunction(method)
    own = f"{method.__qualname__.rpartition('.')[0]}._ask(self, method"
    source = _SENDS.format(
        name=name,
        placed=", ".join(parameter.name for parameter in parameters if parameter.name not in named),
        named=", ".join(f"{parameter.name}={parameter.default}" for parameter in parameters if parameter.name in named),
        values=", ".join(argument if argument in named else "None" for argument in ARGUMENTS),
        ask=own if name == "request" else f'self._ask("{name.upper()}"',
        begin="async " if is_late else "",
        end="await " if is_late else "",
    )
    made: dict[str, Any] = {}
    exec(compile(source, f"<{method.__qualname__}>", "exec"), method.__globals__, made)
    return cast(Method, functools.wraps(method)(made["make"](advised(method))))


def advised(method: Method) -> Method:
    """Has a call that Python refuses, because of its arguments, say what was perhaps meant."""

    def call(*args: Any, **keywords: Any) -> Any:
        try:
            return method(*args, **keywords)
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:
                raise  # from inside
            explained = _explained(method, error, args, keywords)
            if explained is None:
                raise
            raise explained from None

    return cast(Method, functools.wraps(method)(call))


def _explained(method: Callable[..., Any], error: TypeError, placed: Sized, given: Iterable[str]) -> TypeError | None:
    """With what is to be done instead. `None`: Python has said it all."""
    parameters = inspect.signature(method).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    named = {parameter.name for parameter in parameters}
    for name in given:
        if name not in named:
            return TypeError(f"{error}: {_meant(method.__name__, name, known)}")
    if len(placed) <= len(named) - len(known):
        return None
    # Not how many were given: what follows the first one too many was taken for others.
    name = method.__qualname__
    return TypeError(f"{name}() takes what follows the URL by name: {', '.join(known)}")


def _meant(verb: str, name: str, known: list[str]) -> str:
    if name in _NO_BODY and name not in known:
        return f'client.request("{verb.upper()}", url, {name}=…) sends a {verb.upper()} with a body'
    advice = _ELSEWHERE.get(name)
    if name == "guarded_create":
        advice = "it is for client.post(…) and client.request(…)"
    elif name == "upsert":
        advice = "it is for client.patch(…) and client.request(…)"
    elif advice is not None and "json" not in known and advice is _BODY:
        advice = f'client.request("{verb.upper()}", url, content=…) sends a {verb.upper()} with a body'
    if advice is not None:
        return advice if advice.startswith(("client", "it is")) else f"there is {advice}"
    near = difflib.get_close_matches(name, known, 1)
    there_are = f"there are {', '.join(known)}"
    return f"the nearest is {near[0]}; {there_are}" if near else there_are
