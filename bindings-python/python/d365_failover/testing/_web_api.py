"""The Web API, `/api/data/v9.x/`: rows of any table, WhoAmI, `$batch`."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ._http import Answer, Request
from ._store import Attributes, Key, Store, Version

_PATH = re.compile(r"/api/data/v9\.\d+/(.*)", re.IGNORECASE | re.DOTALL)
_RESOURCE = re.compile(r"(\w+)(?:\((.*)\))?", re.ASCII | re.DOTALL)
_LITERAL = re.compile(r"('(?:[^']|'')*'|[^\s]+)(?:\s+and\s+|$)", re.DOTALL)
_TERM = re.compile(r"\s*(\w+)\s+eq\s+", re.ASCII)
_LARGEST_PAGE = 5000

JSON = "application/json; odata.metadata=minimal"

DATACENTER_NOT_AVAILABLE = 0x8004B065
THROTTLED = 0x80072322
_DOES_NOT_EXIST = 0x80040217
_DUPLICATE_RECORD = 0x80040237
_VERSION_MISMATCH = 0x80060882
_INVALID = 0x80040203
_NO_SUCH_RESOURCE = 0x80060888


class ServiceError(Exception):
    """An error of the service."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    def answer(self) -> Answer:
        return json_answer(self.status, {"error": {"code": f"0x{self.code:08x}", "message": str(self)}})


def json_answer(status: int, body: Mapping[str, Any]) -> Answer:
    headers = [("Content-Type", JSON), ("OData-Version", "4.0")]
    return Answer(status, headers, json.dumps(body, separators=(",", ":")).encode())


def resource_of(path: str) -> str | None:
    """What follows `/api/data/v9.x/`."""
    found = _PATH.fullmatch(path)
    return None if found is None else unquote(found[1]).rstrip("/")


def logical_name(table: str) -> str:
    return f"{table[:-3]}y" if table.endswith("ies") else table.removesuffix("s")


def preference(request: Request, name: str) -> str | None:
    values = (value for key, value in request.headers if key.lower() == "prefer")
    for one in re.split("[,;]", ",".join(values)):
        key, _, value = one.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return None


def _invalid(message: str) -> ServiceError:
    return ServiceError(400, _INVALID, message)


def _etag(version: Version) -> str:
    return f'W/"{version.commit}"'


@dataclass(frozen=True)
class WebApi:
    """One request's view of the rows of its side."""

    store: Store
    side: str
    base: str
    """`https://host`, as the client named it."""
    is_own: Callable[[str], bool]
    """Whether a host is one of the side's."""
    identity: tuple[str, str, str]

    @property
    def _api(self) -> str:
        return f"{self.base}/api/data/v9.2"

    def answer(self, request: Request) -> Answer:
        """The answer, also where it is an error."""
        try:
            return self._answer(request)
        except ServiceError as error:
            return error.answer()

    def _answer(self, request: Request) -> Answer:
        text = resource_of(request.path) or ""
        if text in ("WhoAmI", "WhoAmI()"):
            return self._who_am_i() if request.method == "GET" else self._not_allowed("GET")
        if text == "$batch":
            from ._batch import batch

            return batch(self, request) if request.method == "POST" else self._not_allowed("POST")
        found = _RESOURCE.fullmatch(text)
        if found is None:
            raise ServiceError(404, _NO_SUCH_RESOURCE, f"Resource not found for the segment '{text}'.")
        table, named = found[1], found[2]
        if named is None:
            if request.method == "GET":
                return self._query(table, request)
            if request.method == "POST":
                return self._create(table, request)
            return self._not_allowed("GET, POST")
        key = (logical_name(table), _id(named))
        if request.method == "GET":
            return self._retrieve(table, key, request)
        if request.method == "PATCH":
            return self._patch(table, key, request)
        if request.method == "DELETE":
            self._check_if_match(key, request)
            self._find(key)
            self.store.commit(self.side, key, None)
            return _no_content(None)
        return self._not_allowed("GET, PATCH, DELETE")

    def _not_allowed(self, allowed: str) -> Answer:
        answer = ServiceError(405, _NO_SUCH_RESOURCE, "The method is not allowed here.").answer()
        answer.headers.append(("Allow", allowed))
        return answer

    def _who_am_i(self) -> Answer:
        unit, user, organization = self.identity
        context = f"{self._api}/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"
        told = {"BusinessUnitId": unit, "UserId": user, "OrganizationId": organization}
        return json_answer(200, {"@odata.context": context, **told})

    def _find(self, key: Key) -> Version:
        version = self.store.get(self.side, key)
        if version is None:
            raise ServiceError(404, _DOES_NOT_EXIST, f"{key[0]} With Id = {key[1]} Does Not Exist")
        return version

    def _check_if_match(self, key: Key, request: Request) -> None:
        wanted = _named_in(request, "If-Match")
        if wanted is None:
            return
        version = self._find(key)
        if wanted not in ("*", _etag(version)):
            message = "The version of the existing record doesn't match the RowVersion property provided."
            raise ServiceError(412, _VERSION_MISMATCH, message)

    def _put(self, key: Key, attributes: Attributes) -> None:
        self.store.commit(self.side, key, {**attributes, f"{key[0]}id": key[1]})

    def _create(self, table: str, request: Request) -> Answer:
        attributes, entity = _body(request), logical_name(table)
        chosen = attributes.get(f"{entity}id")
        key = (entity, str(uuid.uuid4()) if chosen is None else _id(str(chosen)))
        if self.store.get(self.side, key) is not None:
            raise ServiceError(412, _DUPLICATE_RECORD, "Cannot insert duplicate key.")
        self._put(key, attributes)
        return self._written(table, key, request, 201)

    def _patch(self, table: str, key: Key, request: Request) -> Answer:
        attributes = _body(request)
        self._check_if_match(key, request)
        there = self.store.get(self.side, key)
        if there is None:
            self._put(key, attributes)
            return self._written(table, key, request, 201)
        if _named_in(request, "If-None-Match") == "*":
            raise ServiceError(412, _DUPLICATE_RECORD, "A record with matching key values already exists.")
        self._put(key, {**(there.attributes or {}), **attributes})
        return self._written(table, key, request, 200)

    def _written(self, table: str, key: Key, request: Request, status: int) -> Answer:
        url = f"{self._api}/{table}({key[1]})"
        if (preference(request, "return") or "").lower() != "representation":
            return _no_content(url)
        answer = json_answer(status, self._representation(table, key, None))
        answer.headers.append(("OData-EntityId", url))
        return answer

    def _representation(self, table: str, key: Key, select: list[str] | None) -> Attributes:
        version = self._find(key)
        context = {"@odata.context": f"{self._api}/$metadata#{table}/$entity", "@odata.etag": _etag(version)}
        return {**context, **_selected(key[0], version, select)}

    def _retrieve(self, table: str, key: Key, request: Request) -> Answer:
        options = _options(request.query)
        version = self._find(key)
        if _named_in(request, "If-None-Match") == _etag(version):
            return Answer(304, [("ETag", _etag(version)), ("OData-Version", "4.0")])
        answer = json_answer(200, self._representation(table, key, options.select))
        answer.headers.append(("ETag", _etag(version)))
        return answer

    def _query(self, table: str, request: Request) -> Answer:
        options, entity = _options(request.query), logical_name(table)
        preferred = preference(request, "odata.maxpagesize")
        size = _LARGEST_PAGE
        if preferred is not None:
            if not preferred.isdecimal() or int(preferred) < 1:
                raise _invalid("odata.maxpagesize takes 1 or more")
            size = min(size, int(preferred))
        rows = [row for row in self.store.of(self.side, entity) if options.matches(row[1])]
        total = len(rows)
        rows = rows[: options.top]
        if options.after is not None:
            rows = [row for row in rows if row[0] > options.after]
        page = rows[:size]
        body: Attributes = {"@odata.context": f"{self._api}/$metadata#{table}"}
        if options.count:
            body["@odata.count"] = total
        body["value"] = [
            {"@odata.etag": _etag(version), **_selected(entity, version, options.select)} for _, version in page
        ]
        if len(rows) > size:
            kept = [one for one in request.query.split("&") if one and not unquote(one).startswith("$skiptoken=")]
            kept.append(f"$skiptoken={page[-1][0]}")
            body["@odata.nextLink"] = f"{self._api}/{table}?{'&'.join(kept)}"
        answer = json_answer(200, body)
        if preferred is not None:
            answer.headers.append(("Preference-Applied", f"odata.maxpagesize={size}"))
        return answer

    def target(self, text: str) -> str:
        """Path and query of a target inside a batch."""
        parts = urlsplit(text)
        if parts.netloc:
            if not self.is_own(parts.netloc):
                raise _invalid(f"'{parts.netloc}' is no host of this organization")
            return text.partition(parts.netloc)[2]
        return text if text.startswith("/") else f"/api/data/v9.2/{text}"


def _id(text: str) -> str:
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError:
        raise _invalid(f"'{text}': a row is named by its id, in parentheses") from None


def _body(request: Request) -> Attributes:
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise _invalid(f"the body is no JSON object: {error}") from None
    if not isinstance(body, dict):
        raise _invalid("the body is no JSON object")
    return body


def _named_in(request: Request, header: str) -> str | None:
    value = (request.header(header) or "").strip()
    return None if value.lower() in ("", "null") else value


def _no_content(url: str | None) -> Answer:
    headers = [("OData-Version", "4.0")]
    if url is not None:
        headers += [("OData-EntityId", url), ("Location", url)]
    return Answer(204, headers)


def _selected(entity: str, version: Version, select: list[str] | None) -> Attributes:
    attributes = version.attributes or {}
    if select is None:
        return attributes
    return {name: value for name, value in attributes.items() if name == f"{entity}id" or name in select}


@dataclass
class _Options:
    filter: list[tuple[str, Any]]
    select: list[str] | None = None
    top: int | None = None
    count: bool = False
    after: str | None = None

    def matches(self, version: Version) -> bool:
        attributes = version.attributes or {}
        return all(attributes.get(name) == value for name, value in self.filter)


def _options(query: str) -> _Options:
    """`$filter` with `eq` and `and`, `$select`, `$top`, `$count`, `$skiptoken`. Anything else is an error, so that no
    test believes in an option that did nothing."""
    options = _Options([])
    for option, value in parse_qsl(query, keep_blank_values=True):
        if option == "$filter":
            options.filter = _filter(value)
        elif option == "$select":
            options.select = [name.strip() for name in value.split(",")]
        elif option == "$top" and value.isdecimal():
            options.top = int(value)
        elif option == "$count" and value in ("true", "false"):
            options.count = value == "true"
        elif option == "$skiptoken":
            options.after = _id(value)
        else:
            raise _invalid(f"the testing kit does not understand {option}={value}")
    return options


def _filter(text: str) -> list[tuple[str, Any]]:
    terms, at = [], 0
    while at < len(text):
        name = _TERM.match(text, at)
        literal = None if name is None else _LITERAL.match(text, name.end())
        if name is None or literal is None:
            raise _invalid(f"the testing kit does not understand $filter={text}")
        terms.append((name[1], _literal(literal[1])))
        at = literal.end()
    return terms


def _literal(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    try:
        value = json.loads(text)
    except ValueError:
        return _id(text)
    if isinstance(value, dict | list):
        raise _invalid(f"{text} is no literal")
    return value
