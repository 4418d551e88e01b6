"""The twin datacenter, as its control endpoint offers it."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import d365_failover

WHO_AM_I = "/api/data/v9.2/WhoAmI"
ACCOUNTS = "/api/data/v9.2/accounts"
BULK = "/bulk"
"""`GET /bulk/<bytes>` answers so many; `PUT /bulk` answers the length and the SHA-256 of what came."""

ROOT = Path(__file__).resolve().parents[2]


def binary() -> Path:
    return Path(os.environ.get("D365_TWIN") or ROOT / "target" / "debug" / "d365-twin")


class Twin:
    """A twin of this test session's own, in a process that ends with it; or the one that TWIN_JSON describes."""

    def __init__(self, directory: Path) -> None:
        self._process: subprocess.Popen[str] | None = None
        described = json.loads(Path(os.environ.get("TWIN_JSON") or self._begin(directory)).read_text())
        self._control = described["control_url"].removeprefix("http://")
        self.ca_file: str = described["ca_file"]
        self.client_certificate_file: str = described["client_certificate_file"]
        self._numbers = itertools.count(1)

    def _begin(self, directory: Path) -> str:
        self._process = subprocess.Popen(
            [binary(), "--org", "unused", "--dir", directory, "--stdin-eof"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready = self._process.stdout.readline().split(maxsplit=1)
        assert ready[:1] == ["ready"], f"the twin said {ready}"
        return ready[1].strip()

    def stop(self) -> None:
        if self._process is None:
            return
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(self._control, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.load(response)
        finally:
            connection.close()
        assert response.status == 200, f"{method} {path}: {response.status} {answer}"
        return answer

    def organization(self, **config: Any) -> Organization:
        name = f"org{next(self._numbers)}"
        return Organization(self, self.ask("POST", "/orgs", {"name": name, **config}))

    def proxy(self) -> Proxy:
        name = f"proxy{next(self._numbers)}"
        return Proxy(self, name, self.ask("POST", "/proxies", {"name": name}))


class Proxy:
    def __init__(self, twin: Twin, name: str, described: dict[str, Any]) -> None:
        self._twin = twin
        self.name = name
        self.url: str = described["url"]

    def fault(self, kind: str, **how: Any) -> None:
        self._twin.ask("POST", "/proxy_faults", {"proxy": self.name, "kind": kind, **how})

    def journal(self) -> list[dict[str, Any]]:
        journal = self._twin.ask("GET", f"/proxy_journal?proxy={self.name}")
        assert isinstance(journal, list)
        return journal


class Organization:
    def __init__(self, twin: Twin, described: dict[str, Any]) -> None:
        self._twin = twin
        self.name: str = described["name"]
        self.primary_url: str = described["primary"]["url"]
        self.alternate_url: str = described["alternate"]["url"]
        self.connect_to = {
            f"{described[side]['host']}:443": f"127.0.0.1:{described[side]['port']}"
            for side in ("primary", "alternate")
        }

    @property
    def settings(self) -> dict[str, Any]:
        return {"ca_bundle": self._twin.ca_file, "connect_to": self.connect_to, "auto_switch": True, "preset": "dotnet"}

    def client(self, **settings: Any) -> d365_failover.Client:
        return d365_failover.Client(self.primary_url, **{**self.settings, **settings})

    def async_client(self, **settings: Any) -> d365_failover.AsyncClient:
        return d365_failover.AsyncClient(self.primary_url, **{**self.settings, **settings})

    def fault(self, side: str, kind: str, **keys: Any) -> int:
        set_fault = self._twin.ask("POST", "/faults", {"org": self.name, "side": side, "kind": kind, **keys})
        return int(set_fault["fault_id"])

    def clear(self) -> None:
        self._twin.ask("POST", "/clear", {"org": self.name})

    def wait(self, side: str, **condition: int) -> None:
        query = urlencode({"org": self.name, "side": side, "timeout_ms": 30_000, **condition})
        self._twin.ask("GET", f"/wait?{query}")

    def counts(self, side: str) -> dict[str, Any]:
        counts = self._twin.ask("GET", "/state")["organizations"][self.name][side]["counts"]
        assert isinstance(counts, dict)
        return counts

    def journal(self) -> list[dict[str, Any]]:
        journal = self._twin.ask("GET", f"/journal?org={self.name}")
        assert isinstance(journal, list)
        return journal

    def clear_fault(self, fault_id: int) -> None:
        self._twin.ask("DELETE", f"/faults/{fault_id}")

    def rows(self) -> list[dict[str, Any]]:
        rows = self._twin.ask("GET", f"/rows?org={self.name}")
        assert isinstance(rows, list)
        return rows

    @property
    def environment(self) -> dict[str, str]:
        """For a program in a process of its own: what the examples take."""
        pairs = ",".join(f"{origin}:{target}" for origin, target in self.connect_to.items())
        return {
            **os.environ,
            "D365_URL": self.primary_url,
            "D365_CA_BUNDLE": self._twin.ca_file,
            "D365_CONNECT_TO": pairs,
            "D365_PRESET": "dotnet",
        }
