from __future__ import annotations

import contextlib

import d365_failover
import pytest
from conftest import SEED
from d365_failover import alternate_url, classify, is_alternate_url, primary_url
from hypothesis import given, seed
from hypothesis import strategies as st

ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"

label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", fullmatch=True).filter(
    lambda text: not text.startswith("xn--") and not text.endswith("--s")
)
# Refused: discovery services, which belong to no organization, and what `--s` makes an internationalized label of.
organization = label.filter(lambda text: text not in ("disco", "dev", "globaldisco", "xn"))
suffix = st.lists(label, min_size=1, max_size=3).map(".".join)
path = st.lists(st.text(ALNUM, min_size=1, max_size=8), max_size=3).map(lambda parts: "".join(f"/{p}" for p in parts))
urls = st.builds(
    lambda scheme, name, rest, port, tail: f"{scheme}://{name}.{rest}.example.com{port}/api/data{tail}",
    st.sampled_from(["http", "https"]),
    organization,
    suffix,
    st.sampled_from(["", ":8443"]),
    path,
)


@seed(SEED)
@given(urls)
def test_alternate_and_primary_are_inverse_and_idempotent(url: str) -> None:
    other = alternate_url(url)
    assert other != url
    assert is_alternate_url(other)
    assert not is_alternate_url(url)
    assert primary_url(other) == url
    assert alternate_url(other) == other
    assert primary_url(url) == url


@seed(SEED)
@given(st.text(max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    for function in (alternate_url, primary_url, is_alternate_url):
        with contextlib.suppress(d365_failover.InvalidUrlError):
            assert isinstance(function(text), (str, bool))


def test_the_documented_pair() -> None:
    url = "https://contoso.api.crm.dynamics.com/XRMServices/2011/Organization.svc"
    assert alternate_url(url) == url.replace("contoso", "contoso--s")


@pytest.mark.parametrize(
    "url", ["", "contoso", "ftp://contoso.crm.dynamics.com", "https://127.0.0.1/", "https://localhost/"]
)
def test_what_has_no_alternate_is_refused(url: str) -> None:
    with pytest.raises(d365_failover.InvalidUrlError) as caught:
        alternate_url(url)
    assert isinstance(caught.value, ValueError)


def test_classify_a_service_code() -> None:
    body = b'{"error":{"code":"0x8004B065","message":"not here"}}'
    fault = classify(503, {"Content-Type": "application/json"}, body)
    assert fault is not None
    assert fault.kind == "datacenter_not_available"
    assert fault.code == -2147176347
    assert fault.starts_failover


def test_classify_throttling() -> None:
    fault = classify(429, [("Retry-After", "7")])
    assert fault is not None
    assert (fault.kind, fault.retry_after, fault.starts_failover) == ("throttled", 7.0, False)


def test_classify_what_is_no_fault() -> None:
    assert classify(204) is None


@seed(SEED)
@given(
    st.integers(100, 599),
    st.lists(st.tuples(st.text("abc-", min_size=1), st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))),
    st.binary(max_size=200),
)
def test_classify_never_fails(status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    fault = classify(status, headers, body)
    assert fault is None or fault.kind


def test_shown_url() -> None:
    assert d365_failover.shown_url("/api/accounts?$filter=secret") == "/api/accounts?…"
    assert len(d365_failover.shown_url("/" + "a" * 70_000)) == 200


@pytest.mark.parametrize("url", ["https://contoso.com", "https://contoso.co.uk", "https://contoso.azurewebsites.net"])
def test_a_name_that_anybody_can_register_has_no_alternate(url: str) -> None:
    with pytest.raises(d365_failover.InvalidUrlError, match="alternate_url"):
        d365_failover.alternate_url(url)
