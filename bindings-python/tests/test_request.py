from __future__ import annotations

import json
from typing import Any

import pytest
from d365_failover import InvalidArgumentError
from d365_failover._request import build, milliseconds, with_params
from d365_failover._types import GUARDED_CREATE, STREAMING, UPSERT


def built(**given: Any) -> Any:
    arguments: dict[str, Any] = dict.fromkeys(("headers", "params", "content", "json", "timeout", "operation"))
    return build("GET", "/x", **{**arguments, **given})


@pytest.mark.parametrize(
    ("url", "params", "whole"),
    [
        ("/a", {}, "/a"),
        ("/a", {"$top": 3}, "/a?$top=3"),
        ("/a?$top=3", {"$count": True}, "/a?$top=3&$count=true"),
        ("/a?", [("x", "1")], "/a?x=1"),
        ("/a", {"$filter": "name eq 'Ü & co'"}, "/a?$filter=name%20eq%20'%C3%9C%20%26%20co'"),
        ("/a", {"x": [1, 2], "y": None}, "/a?x=1&x=2&y="),
    ],
)
def test_params(url: str, params: Any, whole: str) -> None:
    assert with_params(url, params) == whole


def test_json_gets_its_content_type_unless_there_is_one() -> None:
    _, _, headers, body, *_ = built(json={"name": "Ü"})
    assert headers == [("Content-Type", "application/json")]
    assert json.loads(body) == {"name": "Ü"}
    assert built(json=1, headers={"content-type": "x/y"})[2] == [("content-type", "x/y")]


def test_json_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        built(json=float("nan"))


@pytest.mark.parametrize("content", [b"\x00x", bytearray(b"\x00x"), memoryview(b"\x00x"), "\x00x"])
def test_content(content: Any) -> None:
    assert built(content=content)[3] == b"\x00x"


def test_content_and_json_exclude_each_other() -> None:
    with pytest.raises(TypeError, match="exclude"):
        built(content=b"", json=1)


def test_headers_may_repeat() -> None:
    pairs = [("Prefer", "a"), ("Prefer", "b")]
    assert built(headers=pairs)[2] == pairs


@pytest.mark.parametrize(("seconds", "ms"), [(1, 1000), (0.0001, 1), (0.0015, 2), (2.5, 2500)])
def test_seconds_are_rounded_up(seconds: float, ms: int) -> None:
    assert built(timeout=seconds)[4] == ms


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e300])
def test_seconds_out_of_range(seconds: float) -> None:
    with pytest.raises(InvalidArgumentError):
        built(timeout=seconds)


@pytest.mark.parametrize("seconds", ["1", True, object()])
def test_seconds_of_a_wrong_type(seconds: Any) -> None:
    with pytest.raises(TypeError):
        milliseconds(seconds, "timeout")


def test_flags() -> None:
    assert built()[6] == 0
    assert built(streaming=True)[6] == STREAMING
    assert built(guarded_create=True, upsert=True)[6] == GUARDED_CREATE | UPSERT


def test_operation() -> None:
    assert [built(operation=name)[5] for name in (None, "read", "idempotent", "guarded", "unsafe")] == [0, 1, 2, 3, 4]
    with pytest.raises(InvalidArgumentError, match="unsafe"):
        built(operation="write")
