"""The adapter for requests: failover, writes in doubt, certificates, proxies, connections that are not made."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import d365_failover
import d365_failover.requests
import pytest
import requests
from peer import HOST, found
from requests_points import raised
from twin import ACCOUNTS, WHO_AM_I, Organization, Twin

ENVIRONMENT = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def session(org: Organization, **settings: Any) -> d365_failover.requests.Session:
    return d365_failover.requests.Session(org.primary_url, **{**org.settings, "preset": "safe", **settings})


def failover(response: requests.Response) -> d365_failover.Response:
    assert isinstance(response, d365_failover.requests.Response)
    return response.failover


# ---- failover ----


def test_a_read_goes_on_at_the_alternate(org: Organization) -> None:
    with session(org) as ours:
        switched: list[str] = []
        ours.client.on_endpoint_switched(lambda event: switched.append(event.new_url))
        org.fault("primary", "refuse")
        response = ours.get(org.primary_url + WHO_AM_I)
        assert response.status_code == 200
        # As it was asked for; where it came from is said beside it.
        assert response.url == org.primary_url + WHO_AM_I
        assert failover(response).url == org.alternate_url + WHO_AM_I
        assert failover(response).switched
        assert [attempt.role for attempt in failover(response).attempts] == ["primary", "alternate"]
        assert ours.get(org.alternate_url + WHO_AM_I).status_code == 200
        org.clear()
    assert switched == [org.alternate_url]


def test_a_write_in_doubt_is_none_of_requests_errors(org: Organization) -> None:
    org.fault("primary", "commit_then_close", method="POST", times=1)
    with session(org) as ours:
        with pytest.raises(d365_failover.WriteInDoubtError) as raised:
            ours.post(org.primary_url + ACCOUNTS, json={"name": "a"}, headers={"D365-Failover-Tag": "order 17"})
        error = raised.value
        assert not isinstance(error, (requests.RequestException, OSError))
        assert (error.effect, error.tag) == ("unknown", "order 17")
        [entry] = ours.client.ledger(suspects=True)
        assert entry.id == error.ledger_id
    assert len(org.rows()) == 1


def test_what_is_said_to_the_library_is_sent_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[set[str]] = []

    def send(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        sent.append({name.lower() for name in request.headers})
        response = requests.Response()
        response.status_code = 200
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    with d365_failover.requests.Session("https://contoso.crm.dynamics.com") as ours:
        ours.headers.update({"D365-Failover-Tag": "order 17", "X-Mine": "1"})
        for scheme in ("https", "http"):
            ours.get(f"{scheme}://elsewhere.example/")
    assert ["x-mine" in names for names in sent] == [True, True]
    assert not any("d365-failover-tag" in names for names in sent)


def test_what_is_in_question_is_told_after_close(org: Organization) -> None:
    ours = session(org)
    org.fault("primary", "commit_then_close", method="POST", times=1)
    with ours, pytest.raises(d365_failover.WriteInDoubtError) as caught:
        ours.post(org.primary_url + ACCOUNTS, json={"name": "a"})
    closed = ours.client
    assert [write.id for write in closed.ledger(suspects=True)] == [caught.value.ledger_id]
    # As of requests' own, a session may be used again.
    assert ours.get(org.primary_url + WHO_AM_I).status_code == 200
    assert ours.client is not closed
    ours.close()


def test_a_guarded_create_is_said_by_a_header(org: Organization) -> None:
    org.fault("primary", "commit_then_close", method="PATCH", times=1)
    with session(org) as ours:
        headers = {"D365-Failover-Guarded-Create": "on"}
        response = ours.post(org.primary_url + ACCOUNTS, json={"name": "a"}, headers=headers)
        assert failover(response).effect == "executed"
        assert len(failover(response).attempts) > 1
    assert len(org.rows()) == 1


def test_a_status_in_doubt_is_a_response_whose_raise_says_so(org: Organization) -> None:
    org.fault("primary", "status", status=500, method="POST")
    with session(org) as ours:
        response = ours.post(org.primary_url + ACCOUNTS, json={"name": "a"})
        assert (response.status_code, response.ok, bool(response)) == (500, False, False)
        with pytest.raises(d365_failover.WriteInDoubtError) as raised:
            response.raise_for_status()
        assert isinstance(raised.value.__cause__, requests.HTTPError)
        assert raised.value.ledger_id == failover(response).ledger_id is not None
        copy = pickle.loads(pickle.dumps(response))
        assert failover(copy).effect == "unknown"
        assert failover(copy).attempts == failover(response).attempts


def test_what_was_raised_tells_what_the_library_knows(org: Organization) -> None:
    org.fault("primary", "refuse")
    with session(org, auto_switch=False, outage_wait=0) as ours:
        with pytest.raises(requests.ConnectionError) as raised:
            ours.post(org.primary_url + ACCOUNTS, json={"name": "a"})
        error = d365_failover.error_of(raised.value)
        assert error is not None
        assert (error.cause, error.effect) == ("refused", "not_executed")
        request = raised.value.request
        assert request is not None
        assert request.url == org.primary_url + ACCOUNTS


def test_a_read_time_is_for_silence(org: Organization) -> None:
    org.fault("primary", "slow_drip", bytes=40, every_ms=300)
    with session(org) as ours:
        begin = time.monotonic()
        assert ours.get(org.primary_url + WHO_AM_I, timeout=(5, 2)).status_code == 200
        assert time.monotonic() - begin > 2


def test_the_token_is_the_endpoint_s(organization: Callable[..., Organization]) -> None:
    org = organization(tokens="check")
    org.fault("primary", "refuse")
    with session(org, token_provider=lambda url: "twin-token-for-" + url.partition("://")[2]) as ours:
        response = ours.get(org.primary_url + WHO_AM_I)
        assert (response.status_code, failover(response).switched) == (200, True)


# ---- sessions ----


def test_mounts_both_endpoints_and_nothing_else() -> None:
    with requests.Session() as theirs:
        adapter = d365_failover.requests.mount(theirs, "https://contoso.crm.dynamics.com")
        for url, is_ours in {
            "https://contoso.crm.dynamics.com/api": True,
            "https://CONTOSO.crm.dynamics.com:443/api": True,
            "https://contoso--s.crm.dynamics.com/api": True,
            "https://contoso.api.crm.dynamics.com/api": True,
            "https://contoso--s.api.crm.dynamics.com:443/api": True,
            "https://contoso.crm.dynamics.com.example/api": False,
            "https://contoso.crm4.dynamics.com/api": False,
            "http://contoso.crm.dynamics.com/api": False,
            "https://login.microsoftonline.com/": False,
        }.items():
            assert (theirs.get_adapter(url) is adapter) is is_ours, url
        assert adapter.clients == ()


def test_a_user_in_the_url_leads_to_no_other_adapter(org: Organization) -> None:
    url = org.primary_url.replace("://", "://user:secret@")
    with session(org) as ours, pytest.raises(requests.exceptions.InvalidURL, match="user info"):
        ours.get(url + WHO_AM_I)


def test_an_explicit_alternate_and_a_path_are_mounted() -> None:
    with requests.Session() as theirs:
        named: Any = {"alternate_url": "https://contoso.crm4.dynamics.com"}
        adapter = d365_failover.requests.mount(theirs, "https://contoso.crm.dynamics.com", **named)
        for url, is_ours in {
            "https://contoso.crm.dynamics.com/api": True,
            "https://contoso.crm4.dynamics.com/api": True,
            "https://contoso.api.crm.dynamics.com/api": False,
        }.items():
            assert (theirs.get_adapter(url) is adapter) is is_ours, url
    with requests.Session() as theirs:
        settings: Any = {"alternate_url": "https://standby.example:8443/crm/Contoso"}
        adapter = d365_failover.requests.mount(theirs, "https://crm.example/Contoso", **settings)
        for url, is_ours in {
            "https://crm.example/Contoso/api": True,
            "https://standby.example:8443/crm/Contoso/api": True,
            "https://crm.example/Fabrikam/api": False,
            "https://standby.example/crm/Contoso/api": False,
        }.items():
            assert (theirs.get_adapter(url) is adapter) is is_ours, url


def test_each_combination_has_a_client_that_close_closes(org: Organization, twin: Twin) -> None:
    with session(org) as ours:
        ours.get(org.primary_url + WHO_AM_I)
        ours.get(org.primary_url + WHO_AM_I, verify=twin.ca_file)
        ours.get(org.primary_url + WHO_AM_I, verify=twin.ca_file)
        adapter = ours.get_adapter(org.primary_url + "/")
        assert isinstance(adapter, d365_failover.requests.FailoverAdapter)
        clients = adapter.clients
        assert len(clients) == 2
        assert clients[0] is ours.client
    for client in clients:
        with pytest.raises(d365_failover.ClosedError):
            client.get(WHO_AM_I)
    assert adapter.clients == ()


def test_a_session_that_nobody_closes_leaves_nothing(org: Organization) -> None:
    ours = session(org)
    ours.get(org.primary_url + WHO_AM_I)
    client = ours.client
    del ours
    import gc

    gc.collect()
    with pytest.raises(d365_failover.ClosedError):
        client.get(WHO_AM_I)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_a_fork_has_connections_of_its_own(org: Organization) -> None:
    program = """
import os, sys
import d365_failover.requests
url, *settings = sys.argv[1:]
session = d365_failover.requests.Session(url, **dict(zip(settings[::2], settings[1::2])))
assert session.get(url + "/api/data/v9.2/WhoAmI").status_code == 200
child = os.fork()
assert session.get(url + "/api/data/v9.2/WhoAmI").status_code == 200
if child:
    _, status = os.waitpid(child, 0)
    session.close()
    sys.exit(os.waitstatus_to_exitcode(status))
"""
    pairs = ",".join(f"{origin}:{target}" for origin, target in org.connect_to.items())
    arguments = ["ca_bundle", org.settings["ca_bundle"], "connect_to", pairs]
    done = subprocess.run([sys.executable, "-c", program, org.primary_url, *arguments], timeout=60)
    assert done.returncode == 0


def test_a_url_that_is_none_is_refused_at_once(org: Organization) -> None:
    with org.client() as client, pytest.raises(TypeError, match="the URL is text, not Client"):
        d365_failover.requests.Session(client)  # type: ignore[arg-type]


def test_the_package_does_not_import_requests() -> None:
    program = "import sys, d365_failover; sys.exit('requests' in sys.modules or 'urllib3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


# ---- beside requests' own: certificates, proxies, connections ----

Act = Callable[[requests.Session, str], Any]


def both(org: Organization, monkeypatch: pytest.MonkeyPatch, act: Act) -> Any:
    """What requests' own adapter gives, and ours; they are the same."""
    given = []
    ports: dict[tuple[str, int], int] = {
        (origin.rpartition(":")[0], 443): int(target.rpartition(":")[2]) for origin, target in org.connect_to.items()
    }
    plain: Any = {"connect_to": org.connect_to, "auto_switch": False, "outage_wait": 0, "max_attempts": 1}
    for opened in (requests.Session(), d365_failover.requests.Session(org.primary_url, **plain)):
        with opened, found(monkeypatch, ports):
            given.append(act(opened, org.primary_url + WHO_AM_I))
    assert given[1] == given[0]
    return given[0]


def status(**keywords: Any) -> Act:
    def act(opened: requests.Session, url: str) -> Any:
        # What is raised, and else the status.
        seen: list[int] = []
        return raised(lambda: seen.append(opened.get(url, **keywords).status_code)) or seen

    return act


def test_verify_keeps_its_meaning(org: Organization, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = both(org, monkeypatch, status())
    assert refused[0] == "SSLError"
    assert both(org, monkeypatch, status(verify=twin.ca_file)) == [200]
    with pytest.warns(match="Unverified HTTPS"):
        assert both(org, monkeypatch, status(verify=False)) == [200]
    assert both(org, monkeypatch, status(verify=f"{twin.ca_file}.none"))[0] == "OSError"

    def of_the_session(opened: requests.Session, url: str) -> Any:
        opened.verify = twin.ca_file
        return status()(opened, url)

    assert both(org, monkeypatch, of_the_session) == [200]
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, twin.ca_file)
            assert both(org, monkeypatch, status()) == [200]

            def untrusting(opened: requests.Session, url: str) -> Any:
                opened.trust_env = False
                return status()(opened, url)

            assert both(org, monkeypatch, untrusting) == refused


def test_a_setting_goes_before_the_environment_and_a_request_before_both(
    org: Organization, twin: Twin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Path(requests.utils.DEFAULT_CA_BUNDLE_PATH).read_bytes())
    proxy = twin.proxy()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with session(org, proxy=proxy.url) as ours:
        assert ours.get(org.primary_url + WHO_AM_I).status_code == 200
        assert len(proxy.journal()) == 1
        with pytest.raises(requests.exceptions.SSLError):
            ours.get(org.primary_url + WHO_AM_I, verify=requests.utils.DEFAULT_CA_BUNDLE_PATH)


def test_cert_keeps_its_meaning(
    organization: Callable[..., Organization], twin: Twin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    org = organization(client_certificates="require")
    text = Path(twin.client_certificate_file).read_text()
    begin = text.index("-----BEGIN PRIVATE KEY")
    end = text.index("-----END PRIVATE KEY-----\n") + len("-----END PRIVATE KEY-----\n")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_text(text[:begin] + text[end:])
    key.write_text(text[begin:end])
    verify = twin.ca_file
    assert both(org, monkeypatch, status(verify=verify, cert=twin.client_certificate_file)) == [200]
    assert both(org, monkeypatch, status(verify=verify, cert=(str(certificate), str(key)))) == [200]
    assert both(org, monkeypatch, status(verify=verify, cert=f"{verify}.none"))[0] == "OSError"
    assert both(org, monkeypatch, status(verify=verify, cert=(str(certificate), f"{verify}.none")))[0] == "OSError"


def test_proxies_keep_their_meaning(org: Organization, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = twin.proxy()
    verify = twin.ca_file
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def through(given: str, **keywords: Any) -> Any:
        return both(org, monkeypatch, status(verify=verify, proxies={"https": given}, **keywords))

    assert through(proxy.url) == [200]
    assert through(proxy.url.removeprefix("http://")) == [200]
    assert through(refusing)[0] == "ProxyError"
    assert len(proxy.journal()) == 4
    with monkeypatch.context() as patch:
        patch.setenv("https_proxy", proxy.url)
        assert both(org, monkeypatch, status(verify=verify)) == [200]
        assert len(proxy.journal()) == 6
        patch.setenv("no_proxy", urlsplit(org.primary_url).hostname or "")
        assert both(org, monkeypatch, status(verify=verify)) == [200]
        assert len(proxy.journal()) == 6


def test_connections_that_are_not_made_raise_what_requests_raises(
    org: Organization, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.fault("primary", "refuse")
    assert both(org, monkeypatch, status())[0] == "ConnectionError"
    org.clear()
    org.fault("primary", "break_handshake", how="alert")
    assert both(org, monkeypatch, status(verify=twin.ca_file))[0] == "SSLError"


@contextlib.contextmanager
def _full() -> Iterator[int]:
    """A port that answers no connect: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_a_connect_that_takes_too_long_is_a_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with _full() as port:
        given = []
        settings: Any = {"connect_to": {f"{HOST}:80": f"127.0.0.1:{port}"}, "auto_switch": False, "outage_wait": 0}
        ours = d365_failover.requests.Session(f"http://{HOST}", max_attempts=1, **settings)
        for opened in (requests.Session(), ours):
            with opened, found(monkeypatch, {(HOST, 80): port}):
                given.append(status(timeout=(0.3, 60))(opened, f"http://{HOST}/x"))
    assert given[0] == given[1]
    assert given[0][0] == "ConnectTimeout"
