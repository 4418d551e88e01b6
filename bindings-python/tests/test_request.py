from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import pytest
from d365_failover import AsyncClient, Client, InvalidArgumentError
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
        ("/a", "$top=3", "/a?$top=3"),
        ("/a?$top=3", "?$count=true", "/a?$top=3&$count=true"),
        ("/a", "", "/a"),
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


@pytest.mark.parametrize(
    ("method", "unknown", "said"),
    [
        ("post", "data", "there is content: "),
        ("get", "data", 'client.request("GET", url, content=…)'),
        ("get", "json", 'client.request("GET", url, json=…)'),
        ("delete", "content", 'client.request("DELETE", url, content=…)'),
        ("post", "files", "there is content: "),
        ("get", "allow_redirects", "there is the client's setting max_redirects"),
        ("request", "follow_redirects", "there is the client's setting max_redirects"),
        ("get", "verify", "there is the client's setting tls_verify"),
        ("get", "cert", "there is the client's setting client_certificate"),
        ("get", "proxies", "there is the client's setting proxy"),
        ("get", "auth", "token_provider"),
        ("get", "cookies", 'headers={"Cookie": …}'),
        ("get", "stream", "client.stream(method, url)"),
        ("get", "deadline", "there is timeout"),
        ("get", "max_retries", "max_attempts"),
        ("get", "header", "the nearest is headers"),
        ("get", "param", "the nearest is params"),
        ("stream", "tiemout", "the nearest is timeout"),
        ("put", "guarded_create", "client.post(…)"),
        ("post", "upsert", "client.patch(…)"),
        ("patch", "no_such_thing", "there are headers, params, "),
    ],
)
def test_an_unknown_keyword_says_what_was_meant(method: str, unknown: str, said: str) -> None:
    url = "https://contoso.crm.dynamics.com"
    given = ("GET", "/x") if method in ("request", "stream") else ("/x",)
    hint = r"(\. Did you mean '\w+'\?)?"  # of CPython 3.13
    message = rf"Client.{method}\(\) got an unexpected keyword argument '{unknown}'{hint}: "

    def check(told: pytest.ExceptionInfo[TypeError]) -> None:
        assert said in str(told.value)

    with Client(url, tls_verify=False) as client, pytest.raises(TypeError, match=f"^{message}") as caught:
        getattr(client, method)(*given, **{unknown: 1})
    check(caught)

    async def main() -> None:
        async with AsyncClient(url, tls_verify=False) as client:
            await getattr(client, method)(*given, **{unknown: 1})

    with pytest.raises(TypeError, match=f"^Async{message}") as caught:
        asyncio.run(main())
    check(caught)


BY_PLACE = r"Client\.post\(\) takes what follows the URL by name: headers, "


def test_a_body_by_its_place_is_told_its_name() -> None:
    with Client("https://contoso.crm.dynamics.com", tls_verify=False) as client:
        several: list[tuple[Any, ...]] = [({"name": "a"},), (None,), ({}, None, b"", {}, 1)]
        for by_place in several:
            with pytest.raises(TypeError, match=BY_PLACE):
                client.post("/x", *by_place)
        # Other mistakes have nothing to do with it.
        with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'url'$"):
            client.post()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"got multiple values for argument 'url'$"):
            client.post("/x", url="/x")  # type: ignore[misc]
        # What is raised inside of a call is its own.
        with pytest.raises(TypeError, match=r"^content and json exclude each other$"):
            client.post("/x", content=b"", json={})


def test_over_asyncio_as_well() -> None:
    async def check(said: str, *given: Any, **named: Any) -> None:
        async with AsyncClient("https://contoso.crm.dynamics.com", tls_verify=False) as client:
            with pytest.raises(TypeError, match=said):
                await client.post(*given, **named)

    asyncio.run(check(f"Async{BY_PLACE}", "/x", {}))
    asyncio.run(check(r"missing 1 required positional argument: 'url'$"))
    asyncio.run(check(r"got multiple values for argument 'url'$", "/x", url="/x"))


def test_methods_are_what_they_look_like() -> None:
    for name in ("request", "get", "post", "patch", "put", "delete"):
        assert inspect.iscoroutinefunction(getattr(AsyncClient, name))
        assert not inspect.iscoroutinefunction(getattr(Client, name))
