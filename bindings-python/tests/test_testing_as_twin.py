"""The testing kit answers as the twin does, where both do: one list of requests, sent to each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import d365_failover
import pytest
from d365_failover.testing import FailoverPair
from twin import Organization

API = "/api/data/v9.2"
ACCOUNTS = f"{API}/accounts"
CHOSEN = "00000000-0000-0000-0000-000000000007"
ROW = f"{ACCOUNTS}({CHOSEN})"
MISSING = f"{ACCOUNTS}(00000000-0000-0000-0000-00000000dead)"
NEW_ONLY, UPDATE_ONLY = {"If-None-Match": "*"}, {"If-Match": "*"}
SHOWN = {"Prefer": "return=representation"}
PAGES = {"Prefer": "odata.maxpagesize=2"}

MADE = re.compile(r"(?!0{8})[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Ids that the server has made up."""
BOUNDARY = re.compile(r"(batch|changeset)response_[0-9a-f-]+")
ETAG = re.compile(r'W/\\?"\d+\\?"')
ALWAYS = ("content-length", "date", "connection", "server")


def batch(*parts: str, boundary: str = "b") -> bytes:
    text = "".join(f"--{boundary}\n{part}\n" for part in parts) + f"--{boundary}--\n"
    return text.replace("\n", "\r\n").encode()


def part(line: str, body: str = "", content_id: str = "") -> str:
    named = f"Content-ID: {content_id}\n" if content_id else ""
    typed = "Content-Type: application/json\n" if body else ""
    return f"Content-Type: application/http\n{named}\n{line} HTTP/1.1\n{typed}\n{body}"


def change_set(*parts: str) -> str:
    inside = "".join(f"--c\n{one}\n" for one in parts) + "--c--"
    return f"Content-Type: multipart/mixed; boundary=c\n\n{inside}"


MIXED = {"Content-Type": "multipart/mixed; boundary=b"}


@dataclass
class Step:
    method: str
    url: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


def create(status: int, body: Any, **keys: Any) -> Step:
    return Step("POST", ACCOUNTS, status, body=body, **keys)


SCRIPTS: dict[str, list[Step]] = {
    "who am I": [Step("GET", f"{API}/WhoAmI", 200), Step("POST", f"{API}/WhoAmI", 405, body={})],
    "a create and its row": [
        create(204, {"name": "a", "accountid": CHOSEN}),
        Step("GET", ROW, 200),
        Step("GET", f"{ROW}?$select=name", 200),
        create(412, {"name": "a", "accountid": CHOSEN}),
        create(201, {"name": "b"}, headers=SHOWN),
        create(400, b"no json"),
        create(400, {"accountid": "no id"}),
    ],
    "what is not there": [
        Step("GET", MISSING, 404),
        Step("DELETE", MISSING, 404),
        Step("PATCH", MISSING, 404, UPDATE_ONLY, {"name": "x"}),
        Step("GET", f"{API}/accounts(no-id)", 400),
        Step("GET", f"{API}/", 404),
        Step("GET", "/nothing/here", 404),
        Step("PUT", ROW, 405, body={}),
        Step("DELETE", ACCOUNTS, 405),
    ],
    "guarded writes": [
        Step("PATCH", ROW, 204, NEW_ONLY, {"name": "a"}),
        Step("PATCH", ROW, 412, NEW_ONLY, {"name": "a"}),
        Step("PATCH", ROW, 204, UPDATE_ONLY, {"city": "Ulm"}),
        Step("GET", ROW, 200),
        Step("PATCH", ROW, 412, {"If-Match": 'W/"999"'}, {"name": "b"}),
        Step("PATCH", ROW, 200, SHOWN, {"name": "c"}),
        Step("DELETE", ROW, 412, {"If-Match": 'W/"999"'}),
        Step("DELETE", ROW, 204),
        Step("GET", ROW, 404),
        Step("PATCH", ROW, 204, {}, {"name": "upsert"}),
    ],
    "queries": [
        *(
            create(204, {"name": name, "n": number, "accountid": f"00000000-0000-0000-0000-00000000000{number}"})
            for number, name in enumerate(("A and B's", "x", "x"))
        ),
        Step("GET", f"{ACCOUNTS}?$filter=name eq 'A and B''s'", 200),
        Step("GET", f"{ACCOUNTS}?$filter=name eq 'x' and n eq 2&$select=n", 200),
        Step("GET", f"{ACCOUNTS}?$filter=missing eq null&$count=true&$top=2&$select=accountid", 200),
        Step("GET", f"{ACCOUNTS}?$filter=name ne 'x'", 400),
        Step("GET", f"{ACCOUNTS}?$expand=owner", 400),
        Step("GET", f"{ACCOUNTS}?$select=accountid", 200, PAGES),
        Step("GET", f"{API}/opportunities", 200),
    ],
    "batches": [
        Step(
            "POST",
            f"{API}/$batch",
            200,
            MIXED,
            batch(
                change_set(
                    part("POST accounts", json.dumps({"name": "1", "accountid": CHOSEN}), "1"),
                    part("PATCH $1", json.dumps({"city": "Ulm"}), "2"),
                ),
                part(f"GET accounts({CHOSEN})"),
            ),
        ),
        # Undone, and the last answer.
        Step(
            "POST",
            f"{API}/$batch",
            412,
            MIXED,
            batch(
                change_set(
                    part("POST accounts", json.dumps({"name": "undone"}), "1"),
                    part("POST accounts", json.dumps({"accountid": CHOSEN}), "2"),
                ),
                part("GET accounts"),
            ),
        ),
        Step("GET", f"{ACCOUNTS}?$filter=name eq 'undone'", 200),
        Step(
            "POST",
            f"{API}/$batch",
            200,
            {**MIXED, "Prefer": "odata.continue-on-error"},
            batch(part(f"GET {MISSING}"), part("GET https://elsewhere.test/api/data/v9.2/WhoAmI"), part("GET WhoAmI")),
        ),
        Step("POST", f"{API}/$batch", 400, {"Content-Type": "text/plain"}, b"x"),
        Step("POST", f"{API}/$batch", 400, MIXED, b"--b\r\n\r\n"),
    ],
}


class Place(Protocol):
    def client(self, **settings: Any) -> d365_failover.Client: ...


def ordered(line: str) -> str:
    """JSON with its members in their order."""
    return json.dumps(json.loads(line), sort_keys=True) if line.startswith("{") else line


def told(place: Place, steps: list[Step]) -> list[Any]:
    """What is answered, without what differs from one server to the next."""

    def plain(text: str) -> str:
        text = re.sub(r"https://org\w*\.crm\.twin\.test|https://contoso\.crm\.failover\.test", "BASE", text)
        text = MADE.sub("made", BOUNDARY.sub(r"\1", text))
        return re.sub(r"the (twin|testing kit) ", "the server ", ETAG.sub("ETAG", text))

    answers = []
    with place.client(preset="safe", auto_switch=False, max_attempts=1, outage_wait=0) as client:
        for step in steps:
            content = step.body if isinstance(step.body, bytes | None) else json.dumps(step.body).encode()
            try:
                answer = client.request(step.method, step.url, headers=step.headers, content=content)
            except d365_failover.FailoverError as error:
                if error.response is None:
                    raise
                answer = error.response
            assert answer.status_code == step.status, f"{step.method} {step.url}: {answer.status_code} {answer.text}"
            headers = sorted(
                (name.lower(), plain(value)) for name, value in answer.headers.items() if name.lower() not in ALWAYS
            )
            try:
                body: Any = json.loads(answer.text)
            except ValueError:
                # Headers of parts come in any order, and any case.
                text = re.sub(r'"message":"[^"]*"', '"message":""', answer.text)
                parts = plain(text).lower().split("\r\n")
                body = sorted(ordered(line) for line in parts if not line.startswith("date:"))
            else:
                if "error" in body:
                    # The sentence is the server's own.
                    body["error"]["message"] = ""
                body = json.loads(plain(json.dumps(body, sort_keys=True)))
            answers.append((step.method, step.url, answer.status_code, headers, body))
    return answers


@pytest.fixture
def pair() -> Iterator[FailoverPair]:
    with FailoverPair() as pair:
        yield pair


@pytest.mark.parametrize("name", SCRIPTS)
def test_both_answer_the_same(pair: FailoverPair, org: Organization, name: str) -> None:
    assert told(pair, SCRIPTS[name]) == told(org, SCRIPTS[name])
