"""`$batch`: several requests in one, and change sets that happen whole or not. Of multipart/mixed."""

from __future__ import annotations

import re
import uuid

from ._http import Answer, Request, first, reason
from ._web_api import ServiceError, WebApi, preference, resource_of

_BOUNDARY = re.compile(r'multipart/mixed\s*;.*?boundary="?([^";]+)"?', re.IGNORECASE)
_Part = tuple[list[tuple[str, str]], bytes]


def _wrong(message: str) -> ServiceError:
    return ServiceError(400, 0x80040203, message)


def batch(api: WebApi, request: Request) -> Answer:
    """Without `Prefer: odata.continue-on-error` the first failure is the last answer, and its status that of all."""
    boundary = _boundary(request.headers)
    if boundary is None:
        raise _wrong("a batch is multipart/mixed, and names its boundary in Content-Type; JSON is not played here")
    goes_on = preference(request, "odata.continue-on-error") not in (None, "false")
    answers = _Writer("batchresponse")
    status = 200
    for headers, body in _parts(request.body, boundary):
        inner = _boundary(headers)
        if inner is None:
            answer: Answer | _Writer = _single(api, body, {})
        else:
            answer = _change_set(api, body, inner)
        if isinstance(answer, _Writer):
            answers.nest(answer)
            continue
        answers.push(answer)
        if answer.status >= 400 and not goes_on:
            status = answer.status
            break
    return Answer(status, [("Content-Type", answers.content_type), ("OData-Version", "4.0")], answers.finish())


def _change_set(api: WebApi, body: bytes, boundary: str) -> Answer | _Writer:
    """The answers, or the one that failed and undid the others."""
    before = api.store.savepoint(api.side)
    references: dict[str, str] = {}
    answers = _Writer("changesetresponse")
    try:
        for headers, inside in _parts(body, boundary):
            content_id = first(headers, "Content-ID")
            answer = _single(api, inside, references, is_change=True)
            if answer.status >= 400:
                api.store.rollback(api.side, before)
                return answer
            row = answer.header("OData-EntityId")
            if content_id is not None and row is not None:
                references[content_id] = row
            answers.push(answer, content_id)
    except ServiceError:
        api.store.rollback(api.side, before)
        raise
    return answers


def _single(api: WebApi, part: bytes, references: dict[str, str], *, is_change: bool = False) -> Answer:
    head, _, body = (part + b"\r\n\r\n").partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").lstrip("\r\n").split("\r\n")
    words = line.split(" ")
    if len(words) != 3:
        raise _wrong(f"a part holds no request: {line[:40]}")
    body = body[: max(len(body) - 4, 0)]
    if is_change and words[0] == "GET":
        return _wrong("a change set holds no GET").answer()
    headers = [(name.strip(), value.strip()) for name, _, value in (one.partition(":") for one in rest)]
    try:
        target = api.target(_referred(words[1], references))
    except ServiceError as error:
        return error.answer()
    body = _bound(body, references)
    request = Request(words[0], target, headers, body)
    if resource_of(request.path) == "$batch":
        return _wrong("a batch holds no batch").answer()
    return api.answer(request)


def _referred(target: str, references: dict[str, str]) -> str:
    found = re.fullmatch(r"/?\$(\w+)(.*)", target)
    if found is None or found[1] == "batch":
        return target
    if found[1] not in references:
        raise _wrong(f"Content-ID Reference: '${found[1]}' not found.")
    return references[found[1]] + found[2]


def _bound(body: bytes, references: dict[str, str]) -> bytes:
    """With bindings to `$1` and the like resolved."""

    def row(found: re.Match[str]) -> str:
        return f'{found[1]}"{references.get(found[2], "$" + found[2])}"'

    text = body.decode("utf-8", "surrogateescape")
    return re.sub(r'(@odata\.bind"\s*:\s*)"\$(\w+)"', row, text).encode("utf-8", "surrogateescape")


def _boundary(headers: list[tuple[str, str]]) -> str | None:
    found = _BOUNDARY.match(first(headers, "Content-Type") or "")
    return None if found is None else found[1]


def _parts(body: bytes, boundary: str) -> list[_Part]:
    delimiter = b"--" + boundary.encode("latin-1")
    pieces = re.split(rb"(?:^|\r\n)" + re.escape(delimiter) + rb"(--)?[ \t]*(?:\r\n|$)", body)
    # Before the first, then by turns whether it was the last, and what follows.
    if len(pieces) < 3 or b"--" not in pieces[1::2]:
        raise _wrong("the batch has no end")
    parts = []
    for closed, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if closed:
            break
        head, _, inside = piece.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        parts.append((headers, inside))
    return parts


class _Writer:
    def __init__(self, name: str) -> None:
        self._boundary = f"{name}_{uuid.uuid4()}"
        self._text = b""

    @property
    def content_type(self) -> str:
        return f"multipart/mixed; boundary={self._boundary}"

    def _begin(self, headers: str) -> None:
        self._text += f"--{self._boundary}\r\n{headers}\r\n".encode("latin-1")

    def push(self, answer: Answer, content_id: str | None = None) -> None:
        named = "" if content_id is None else f"Content-ID: {content_id}\r\n"
        self._begin(f"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{named}")
        lines = [f"HTTP/1.1 {answer.status} {reason(answer.status)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        self._text += ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + answer.body + b"\r\n"

    def nest(self, changes: _Writer) -> None:
        self._begin(f"Content-Type: {changes.content_type}\r\n")
        self._text += changes.finish()

    def finish(self) -> bytes:
        return self._text + f"--{self._boundary}--\r\n".encode("latin-1")
