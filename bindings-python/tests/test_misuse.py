from __future__ import annotations

import asyncio
import functools
import gc
import threading
import time
import weakref
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import d365_failover
import pytest
from d365_failover import AsyncClient, Client
from subject import Subjects
from twin import ACCOUNTS, WHO_AM_I, Organization

URL = "https://contoso.crm.dynamics.com"


@pytest.mark.parametrize("url", [None, 3, b"https://contoso.crm.dynamics.com"])
def test_a_url_of_a_wrong_type(url: Any) -> None:
    with pytest.raises(TypeError, match="the URL is text"):
        Client(url, tls_verify=False)


@pytest.mark.parametrize(
    "url",
    ["", "contoso", "ftp://contoso.crm.dynamics.com", "https://127.0.0.1", "https://u:p@contoso.crm.dynamics.com"],
)
def test_a_bad_url(url: str) -> None:
    with pytest.raises(d365_failover.InvalidUrlError) as caught:
        Client(url, tls_verify=False)
    assert caught.value.kind == "invalid_url"


def test_a_lone_surrogate() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        Client("https://contoso\ud800.crm.dynamics.com")
    with pytest.raises(ValueError, match="surrogate"):
        Client(URL, user_agent="\udfff")


def test_an_unknown_setting() -> None:
    unknown: dict[str, Any] = {"no_such_setting": 1}
    with pytest.raises(d365_failover.UnknownSettingError, match="no_such_setting") as caught:
        Client(URL, **unknown)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    "setting",
    [
        {"preset": "bold"},
        {"auto_switch": "perhaps"},
        {"max_connections": 0},
        {"deadline": 0},
        {"deadline": -1.0},
        {"probe_after": -1},
        {"probe_after": 86_401},
        {"probe_timeout": 0},
        {"probe_path": "WhoAmI"},
        {"probe_path": ""},
        {"write_grace": 86_401},
        {"hold_down": 86_401},
        {"hold_down": float("nan")},
        {"outage_wait": 86_401},
        {"outage_wait": -1},
        {"max_waiting": 0},
        {"failback": "never"},
        {"failback": True},
        {"failback_interval": 0},
        {"failback_after": -1},
        {"max_attempts": 0},
        {"max_attempts": 101},
        {"max_attempts": "many"},
        {"retry_budget": -0.1},
        {"retry_budget": 1.1},
        {"retry_budget": float("nan")},
        {"retry_budget": float("inf")},
        {"replication_window": 86_401},
        {"update_guard": "perhaps"},
        {"token_precedence": "sdk"},
        {"service_mark": True},
        {"service_mark": "none"},
    ],
)
def test_a_setting_out_of_range(setting: dict[str, Any]) -> None:
    with pytest.raises(d365_failover.InvalidArgumentError):
        Client(URL, **setting)


def test_settings_at_their_bounds() -> None:
    least: dict[str, Any] = {
        "probe_after": 0,
        "probe_timeout": 0.001,
        "probe_path": "/",
        "write_grace": 0,
        "hold_down": 0,
        "outage_wait": 0,
        "max_waiting": 1,
        "failback": "on_fault",
        "failback_interval": 0.001,
        "failback_after": 0,
        "max_attempts": 1,
        "retry_budget": 0,
        "replication_window": 0,
        "update_guard": False,
    }
    most: dict[str, Any] = {
        **dict.fromkeys(("probe_after", "probe_timeout", "write_grace", "hold_down", "replication_window"), 86_400),
        **dict.fromkeys(("outage_wait", "failback_interval", "failback_after"), 86_400),
        "max_waiting": 1_000_000,
        "failback": "manual",
        "max_attempts": 100,
        "retry_budget": 1.0,
        "update_guard": True,
        "service_mark": "any",
    }
    for preset in ("safe", "dotnet"):
        for settings in (least, most):
            Client(URL, tls_verify=False, preset=preset, **settings).close()


def test_a_ca_bundle_that_is_not_there() -> None:
    with pytest.raises(d365_failover.FailoverError):
        Client(URL, ca_bundle="/no/such/file.pem")


def test_what_a_ca_bundle_has_that_cannot_be_used_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = (Path(__file__).parents[2] / "core/tests/certificates/v1.pem").read_text()
    broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("\ufeff" + broken + good, encoding="utf-8")
    Client(URL, ca_bundle=bundle).close()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    first, second = told
    assert f"{bundle}: certificate 1 (line 1)" in first
    assert f"{bundle}: there is a private key" in second
    bundle.write_text(broken)
    with pytest.raises(d365_failover.InvalidSettingError, match=r"certificate 1 \(line 1\)"):
        Client(URL, ca_bundle=bundle)


class _Awaited:
    async def __call__(self, url: str) -> str:
        return "token"

    async def get_token(self, *scopes: str) -> str:
        return "token"


@pytest.mark.parametrize(
    "provider",
    [
        3,
        _Awaited().__call__,
        _Awaited(),
        functools.partial(_Awaited().__call__),
        SimpleNamespace(get_token=_Awaited().get_token),
    ],
)
def test_a_provider_that_is_none_of_a_client_s(provider: Any) -> None:
    with pytest.raises(TypeError, match="token_provider"):
        Client(URL, tls_verify=False, token_provider=provider)


def test_numbers_are_of_any_kind(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org, deadline=Fraction(61, 2), max_attempts=_Three(), retry_budget=Decimal("0.5")) as subject:
        assert subject.call("get", WHO_AM_I, timeout=Decimal(30)).status_code == 200
        subject.call("maintenance", Fraction(0), Decimal(time.time() + 60))


class _Three:
    """As numpy's."""

    def __index__(self) -> int:
        return 3


MANY = [(f"x-{number}", "a") for number in range(50_000)]
REQUESTS: list[tuple[Callable[[Client], object], type[Exception]]] = [
    (lambda client: client.request(None, "/"), TypeError),  # type: ignore[arg-type]
    (lambda client: client.get(None), TypeError),  # type: ignore[arg-type]
    (lambda client: client.get("/", headers={"a": 1}), TypeError),  # type: ignore[arg-type]
    (lambda client: client.get("/", headers=3), TypeError),  # type: ignore[arg-type]
    (lambda client: client.post("/", content=3), TypeError),  # type: ignore[arg-type]
    (lambda client: client.post("/", json=object()), TypeError),
    (lambda client: client.get("/", timeout="1"), TypeError),  # type: ignore[arg-type]
    (lambda client: client.get("/", connect_timeout="1"), TypeError),  # type: ignore[arg-type]
    (lambda client: client.post("/", attempt_timeout=True, json={}), TypeError),
    (lambda client: client.patch("/", connect_timeout=0, json={}), d365_failover.InvalidArgumentError),
    (lambda client: client.delete("/", attempt_timeout=-1), d365_failover.InvalidArgumentError),
    (lambda client: client.get("/", read_timeout=0), d365_failover.InvalidArgumentError),
    (lambda client: client.put("/", attempt_timeout=86_401), d365_failover.InvalidArgumentError),
    (lambda client: client.verify(1, connect_timeout=0), d365_failover.InvalidArgumentError),
    (lambda client: client.get("/\udfff"), UnicodeError),
    (lambda client: client.get("/", headers={"a": "\udfff"}), UnicodeError),
    (lambda client: client.get("/", headers={"a": "b\r\nc: d"}), d365_failover.InvalidArgumentError),
    (lambda client: client.get("/", headers={"a b": "c"}), d365_failover.InvalidArgumentError),
    (lambda client: client.get("/", headers=MANY), d365_failover.InvalidArgumentError),
    (lambda client: d365_failover.classify(500, MANY), d365_failover.InvalidArgumentError),
    (lambda client: d365_failover.explain("GET", "/", status=500, headers=MANY), d365_failover.InvalidArgumentError),
    (lambda client: client.request("", "/"), d365_failover.InvalidArgumentError),
    (lambda client: client.request("G T", "/"), d365_failover.InvalidArgumentError),
    (lambda client: client.get("https://elsewhere.example/"), d365_failover.FailoverError),
    (lambda client: client.get("/", timeout=0), d365_failover.InvalidArgumentError),
    (lambda client: client.get("/", operation="?"), d365_failover.InvalidArgumentError),
    (lambda client: client.request("GET", WHO_AM_I, guarded_create=True), d365_failover.InvalidArgumentError),
    (lambda client: client.resolve(1, "found"), d365_failover.InvalidArgumentError),
    (lambda client: client.resolve(1, "lost"), d365_failover.LedgerEntryError),
    (lambda client: client.resolve("1", "lost"), TypeError),  # type: ignore[arg-type]
    (lambda client: client.resolve(1, ["lost"]), d365_failover.InvalidArgumentError),  # type: ignore[arg-type]
    (lambda client: client.verify(2**70), d365_failover.LedgerEntryError),
    (lambda client: client.verify(-(10**5000)), d365_failover.LedgerEntryError),
    (lambda client: client.verify("1"), TypeError),  # type: ignore[arg-type]
    (lambda client: client.verify_with(2**63, "/"), d365_failover.LedgerEntryError),
    (lambda client: client.replay(2**70), d365_failover.LedgerEntryError),
    (lambda client: client.replay(True), TypeError),
    (lambda client: client.replay(None), TypeError),  # type: ignore[arg-type]
    (lambda client: client.check(["primary"]), d365_failover.InvalidArgumentError),  # type: ignore[arg-type]
    (lambda client: client.get("/", operation=["read"]), d365_failover.InvalidArgumentError),  # type: ignore[arg-type]
    (lambda client: client.set_override(["off"]), d365_failover.InvalidArgumentError),  # type: ignore[arg-type]
    (lambda client: d365_failover.explain("GET", "/", status=2**70), d365_failover.InvalidArgumentError),
    (lambda client: client.on_endpoint_switched(None), TypeError),  # type: ignore[type-var]
    (lambda client: client.close(timeout=-1), d365_failover.InvalidArgumentError),
]


@pytest.mark.parametrize(("misuse", "raised"), REQUESTS)
def test_a_request_that_cannot_be(
    org: Organization, misuse: Callable[[Client], object], raised: type[Exception]
) -> None:
    with org.client() as client:
        with pytest.raises(raised):
            misuse(client)
        assert org.counts("primary")["received"] == 0
        assert client.get(WHO_AM_I).status_code == 200


@pytest.mark.parametrize(
    ("method", "url", "keywords", "said"),
    [
        ("POST", ACCOUNTS, {"headers": {"Prefer": None}}, "the value of the header 'Prefer' is text, not NoneType"),
        ("POST", ACCOUNTS, {"headers": {b"Prefer": "a"}}, "the name of a header is text, not bytes"),
        ("POST", ACCOUNTS, {"headers": ["Prefer"]}, "headers are pairs of a name and a value, not str"),
        ("POST", ACCOUNTS, {"headers": 5}, "headers are a mapping, or pairs of a name and a value, not int"),
        # What is none may be a credential.
        ("POST", ACCOUNTS, {"headers": "Authorization: secret"}, "pairs of a name and a value, not str$"),
        ("POST", ACCOUNTS, {"headers": ["Authorization: secret"]}, "headers are pairs of a name and a value, not str$"),
        ("POST", ACCOUNTS, {"headers": [("a", "secret", "c")]}, "pairs of a name and a value, not tuple of 3$"),
        ("POST", ACCOUNTS, {"params": b"a=b"}, "params are a mapping, or pairs of a name and a value, not bytes"),
        ("POST", ACCOUNTS, {"params": ["ab"]}, "params are pairs of a name and a value, not str"),
        ("POST", ACCOUNTS, {"tag": 17}, "tag is text, not int"),
        ("POST", b"/", {}, "the URL is text, not bytes"),
        (None, ACCOUNTS, {}, "the method is text, not NoneType"),
    ],
)
def test_what_is_no_text_is_named(
    org: Organization, open_subject: Subjects, method: Any, url: Any, keywords: dict[str, Any], said: str
) -> None:
    with open_subject(org) as subject:
        for content in (b"{}", iter([b"{}"])):
            with pytest.raises(TypeError, match=said):
                subject.call("request", method, url, content=content, **keywords)


def test_after_close(org: Organization) -> None:
    client = org.client()
    client.close()
    client.close()
    uses: list[Callable[[], object]] = [
        lambda: client.get(WHO_AM_I),
        client.switch_endpoint,
        client.discover,
        lambda: client.on_endpoint_switched(print),
    ]
    for use in uses:
        with pytest.raises(d365_failover.ClosedError) as caught:
            use()
        assert caught.value.kind == "closed"
    assert client.primary_url == org.primary_url
    assert not client.off(print)


FOREIGN = "https://elsewhere.test/"


@pytest.mark.parametrize("is_closed", [False, True])
def test_what_is_known_of_a_call_that_was_not_begun(org: Organization, open_subject: Subjects, is_closed: bool) -> None:
    """A write that was refused was not executed; of a read there is nothing to know."""
    refused: dict[str, tuple[str, str, list[Any], dict[str, Any]]] = {
        "a create": ("not_executed", "post", [FOREIGN], {"json": {}, "tag": "17"}),
        "a delete": ("not_executed", "delete", [FOREIGN], {"tag": "17"}),
        "a write by its operation": ("not_executed", "get", [FOREIGN], {"operation": "unsafe", "tag": "17"}),
        "a read": ("none", "get", [FOREIGN], {"tag": "17"}),
        "a read by its operation": ("none", "post", [FOREIGN], {"operation": "read", "tag": "17"}),
        "a body": ("not_executed", "post", [FOREIGN], {"content": iter([b"{}"]), "tag": "17"}),
        "a replay": ("not_executed", "replay", [17], {}),
        "a question": ("none", "verify", [17], {}),
    }
    with open_subject(org) as subject:
        if is_closed:
            subject.call("close")
        for what, (effect, method, given, keywords) in refused.items():
            with pytest.raises(d365_failover.FailoverError) as caught:
                subject.call(method, *given, **keywords)
            error = caught.value
            kind = "not_available" if given == [17] else "invalid_url"
            assert (what, error.kind) == (what, "closed" if is_closed else kind)
            assert (what, error.effect) == (what, effect)
            assert (error.tag, error.ledger_id) == (keywords.get("tag"), None)
            assert error.attempts == ()
    assert org.counts("primary")["received"] == 0


def test_a_replay_of_what_is_not_on_record_says_so(org: Organization, open_subject: Subjects) -> None:
    with open_subject(org) as subject:
        for method, said in (("replay", "sent again"), ("verify", "verified")):
            with pytest.raises(d365_failover.LedgerEntryError, match=f"cannot be {said}: it is not on record"):
                subject.call(method, 17)


def test_close_while_open_in_a_with_block(org: Organization) -> None:
    with org.client() as client:
        client.close()


def test_a_forgotten_client_warns_and_goes(org: Organization) -> None:
    def forget() -> tuple[weakref.ref[Client], threading.Thread | None]:
        client = org.client()
        client.on_endpoint_switched(lambda event: client.epoch)  # the cycle that users make
        return weakref.ref(client), client._dispatcher.thread

    reference, thread = forget()
    with pytest.warns(ResourceWarning, match="unclosed Client"):
        gc.collect()
    gc.collect()  # what pytest recorded of the warning holds the client
    assert reference() is None
    assert thread is not None
    thread.join(30)
    assert not thread.is_alive()


VERBS = ["get", "post", "patch", "put", "delete"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_subclass_s_request_is_what_all_its_verbs_send_by(verb: str) -> None:
    class Mine(Client):
        def request(self, method: str, url: str, **more: Any) -> Any:
            return [method, url, more]

    class Later(Mine):
        pass

    class Through(Client):
        def request(self, *args: Any, **more: Any) -> Any:
            return super().request(*args, **more, tag="t" * 1000)

    class MineAsync(AsyncClient):
        async def request(self, method: str, url: str, **more: Any) -> Any:
            return [method, url, more]

    expected: list[Any] = [verb.upper(), "/x", {"tag": "a", "timeout": 2}]
    for client in (Mine(URL), Later(URL)):
        with client:
            assert getattr(client, verb)("/x", tag="a", timeout=2) == expected
    with Through(URL) as through, pytest.raises(d365_failover.InvalidArgumentError, match="tag"):
        getattr(through, verb)("/x")

    async def sent() -> Any:
        async with MineAsync(URL) as client:
            return await getattr(client, verb)("/x", tag="a", timeout=2)

    assert asyncio.run(sent()) == expected
