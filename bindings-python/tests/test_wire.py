"""The settings of the wire: HTTP/2, codings, proxies, client certificates, redirects, other hosts."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import d365_failover
import pytest
from twin import ACCOUNTS, BULK, WHO_AM_I, Organization, Twin


@pytest.mark.parametrize(("http2", "version"), [(None, "HTTP/2"), (True, "HTTP/2"), (False, "HTTP/1.1")])
def test_http2(organization: Callable[..., Organization], http2: bool | None, version: str) -> None:
    org = organization(http2=True)
    with org.client(http2=http2) as client:
        (attempt,) = client.get(WHO_AM_I).attempts
    assert attempt.http_version == version
    assert [entry["http2"] for entry in org.journal()] == [version == "HTTP/2"]


def test_no_version_without_a_connection(org: Organization) -> None:
    org.fault("primary", "refuse")
    with org.client() as client:
        versions = [attempt.http_version for attempt in client.get(WHO_AM_I).attempts]
    assert versions == [None, "HTTP/1.1"]


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_coded_body_is_decoded(organization: Callable[..., Organization], coding: str) -> None:
    org = organization(codings=[coding])
    with org.client() as client:
        response = client.get(WHO_AM_I)
        assert response.json()["UserId"]
        assert "content-encoding" not in response.headers
        with client.stream("GET", WHO_AM_I) as streamed:
            assert streamed.read() == response.content
    assert [entry["accept_encoding"] for entry in org.journal()] == ["gzip, br"] * 2


def test_a_coded_body_as_it_came(organization: Callable[..., Organization]) -> None:
    org = organization(codings=["gzip"])
    with org.client() as client:
        response = client.get(WHO_AM_I, headers={"Accept-Encoding": "gzip"})
        assert response.headers["content-encoding"] == "gzip"
        assert b"UserId" in gzip.decompress(response.content)
    with org.client(decompress=False) as client:
        assert client.get(WHO_AM_I).json()["UserId"]
    assert [entry["accept_encoding"] for entry in org.journal()] == ["gzip", None]


def proxied(org: Organization, **settings: Any) -> d365_failover.Client:
    return org.client(**{"connect_to": None, **settings})


def test_a_proxy(twin: Twin, org: Organization) -> None:
    proxy = twin.proxy()
    with proxied(org, proxy=proxy.url) as client:
        assert client.get(WHO_AM_I).status_code == 200
        assert client.put(BULK, content=iter([b"x"] * 3)).json()["bytes"] == 3
    host = org.primary_url.partition("://")[2]
    assert {entry["authority"] for entry in proxy.journal()} == {f"{host}:443"}


def test_the_environments_proxy(twin: Twin, org: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = twin.proxy()
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "elsewhere.example")
    with proxied(org, proxy="system") as client:
        assert client.get(WHO_AM_I).status_code == 200
    assert proxy.journal()


def test_a_client_certificate(twin: Twin) -> None:
    org = twin.organization(client_certificates="require")
    with org.client(client_certificate=twin.client_certificate_file) as client:
        assert client.get(WHO_AM_I).status_code == 200
    assert [entry["client_certificate"] for entry in org.journal()] == [True]
    with org.client() as client, pytest.raises(d365_failover.FailoverError):
        client.get(WHO_AM_I)


def test_a_client_certificate_that_is_not_there(org: Organization) -> None:
    with pytest.raises(d365_failover.InvalidSettingError):
        org.client(client_certificate="/no/such/file.pem")


def test_redirects(org: Organization) -> None:
    there = {"status": 307, "headers": {"Location": WHO_AM_I}}
    org.fault("primary", "status", path=ACCOUNTS, **there)
    with org.client() as client:
        assert client.get(ACCOUNTS).status_code == 307
    with org.client(max_redirects=2) as client:
        response = client.get(ACCOUNTS)
    assert response.json()["UserId"]
    assert [attempt.http_status for attempt in response.attempts] == [307, 200]


@pytest.mark.parametrize("how", [list, ",".join])
def test_a_host_that_is_allowed(twin: Twin, org: Organization, how: Callable[[list[str]], Any]) -> None:
    other = twin.organization(plays="plain")
    host = other.primary_url.partition("://")[2]
    connect_to = {**org.connect_to, **other.connect_to}
    tokens = {"token_provider": lambda url: ("token", 60.0)}
    with org.client(allowed_hosts=how([host, "files.example:8443"]), connect_to=connect_to, **tokens) as client:
        response = client.get(f"{other.primary_url}/file", headers={"Cookie": "a=b"})
        assert response.json()["path"] == "/file"
        assert [attempt.role for attempt in response.attempts] == [None]
        assert client.get(WHO_AM_I).attempts[0].role == "primary"
        other.fault("primary", "reset_before_request")
        with pytest.raises(d365_failover.FailoverError) as caught:
            client.get(f"{other.primary_url}/file")
        assert {attempt.role for attempt in caught.value.attempts} == {None}
        assert client.is_primary
    assert not any(entry["authorization"] or entry["cookie"] for entry in other.journal())
    with org.client(connect_to=connect_to) as client, pytest.raises(d365_failover.InvalidUrlError):
        client.get(f"{other.primary_url}/file")


@pytest.mark.parametrize(
    "setting",
    [
        {"proxy": "socks5://127.0.0.1:1"},
        {"max_redirects": 21},
        {"max_redirects": -1},
        {"allowed_hosts": ["a host"]},
        {"http2": "perhaps"},
    ],
)
def test_values_that_cannot_be(org: Organization, setting: dict[str, Any]) -> None:
    with pytest.raises(d365_failover.InvalidSettingError):
        org.client(**setting)
