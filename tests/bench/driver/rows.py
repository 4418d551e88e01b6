"""What is compared. A row of the result is a language, a case and a peer; a new one is a line here."""

from dataclasses import dataclass

GET = "/api/data/v9.2/WhoAmI"
POST = "/api/data/v9.2/accounts"


@dataclass(frozen=True)
class Case:
    name: str
    method: str
    scheme: str
    threads: int = 1
    port: str = ""
    """Which of the server's; the scheme's own by default."""

    @property
    def path(self) -> str:
        return POST if self.method == "POST" else GET

    @property
    def countable(self) -> bool:
        """Whether counts per call mean anything: threads that meet make them a matter of luck."""
        return self.threads == 1


CASES = {
    "get": Case("GET", "GET", "http"),
    "post": Case("POST 1 kB", "POST", "http"),
    "tls-get": Case("GET, TLS", "GET", "https"),
    "tls-post": Case("POST 1 kB, TLS", "POST", "https"),
    "http2-get": Case("GET, HTTP/2", "GET", "https", port="http2"),
    "http2-post": Case("POST 1 kB, HTTP/2", "POST", "https", port="http2"),
    "threads": Case("GET, 8 threads", "GET", "http", threads=8),
}


@dataclass(frozen=True)
class Side:
    """One way to make calls. A run takes about a second; a JVM needs its warm-up to have compiled what it runs."""

    language: str
    name: str
    calls: int
    warm_up: int


OURS = {
    "C": Side("C", "d365", 24_000, 2_400),
    "Java": Side("Java", "d365", 30_000, 40_000),
    "Python": Side("Python", "d365", 16_000, 1_600),
}
LIBCURL = Side("C", "libcurl", 24_000, 2_400)
JDK = Side("Java", "jdk", 16_000, 40_000)
PYCURL = Side("Python", "pycurl", 16_000, 1_600)
REQUESTS = Side("Python", "requests", 1_600, 160)
HTTPX = Side("Python", "httpx", 2_400, 240)
HTTPX_ASYNC = Side("Python", "httpx-async", 1_600, 160)
AIOHTTP = Side("Python", "aiohttp", 4_800, 480)

TITLES = {
    "libcurl": "libcurl's easy handle",
    "jdk": "java.net.http.HttpClient",
    "pycurl": "pycurl",
    "requests": "requests",
    "httpx": "httpx",
    "httpx-async": "httpx in asyncio",
    "aiohttp": "aiohttp",
}

DROP_IN = "-d365"
"""How a side's name ends that is such a library over this one."""
DROP_INS = {
    REQUESTS: Side("Python", "requests" + DROP_IN, 3_200, 320),
    HTTPX: Side("Python", "httpx" + DROP_IN, 4_800, 480),
    HTTPX_ASYNC: Side("Python", "httpx-async" + DROP_IN, 3_200, 320),
    AIOHTTP: Side("Python", "aiohttp" + DROP_IN, 4_800, 480),
}
TITLES |= {side.name: f"{TITLES[peer.name]} over d365-failover" for peer, side in DROP_INS.items()}


@dataclass(frozen=True)
class Row:
    case: Case
    peer: Side
    ours: Side

    @property
    def title(self) -> str:
        ours = "" if self.ours.name == "d365" else f" against {self.ours.name}"
        return f"{self.peer.language}, {self.case.name}, {self.peer.name}{ours}"


_CASES_OF = {
    LIBCURL: ("get", "post", "tls-get", "tls-post", "http2-get", "http2-post", "threads"),
    JDK: ("get", "post", "tls-get", "tls-post", "http2-get"),
    PYCURL: ("get", "post", "tls-get", "tls-post", "http2-get"),
    REQUESTS: ("get",),
    HTTPX: ("get",),
}
ROWS = [
    *(Row(CASES[case], peer, OURS[peer.language]) for peer, cases in _CASES_OF.items() for case in cases),
    *(Row(CASES[case], peer, side) for peer, side in DROP_INS.items() for case in ("get", "post")),
]
