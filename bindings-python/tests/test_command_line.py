"""The command line, as a shell runs it."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from d365_failover._sys.command import arguments_of
from d365_failover.testing import FailoverPair

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-secret-token"
PRINTS = f"""{sys.executable} -c "import os; print('token-for-' + os.environ['D365_ENDPOINT_URL'].split('/')[2])" """


@pytest.fixture
def pair() -> Iterator[FailoverPair]:
    with FailoverPair() as pair:
        yield pair


def run(*arguments: str, code: int | None = 0, input: str = "", environment: dict[str, str] | None = None) -> str:
    """Runs it, and tells what it said on standard output. With `code=None` it may end with any."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "d365_failover", *arguments]
    known = {name: value for name, value in os.environ.items() if not name.startswith("D365_")}
    done = subprocess.run(command, env={**known, **(environment or {})}, input=input.encode(), capture_output=True)
    said, told = done.stdout.decode(), done.stderr.decode()
    assert code in (None, done.returncode), f"{arguments}: {done.returncode}\n{said}\n{told}"
    assert "Traceback" not in told
    assert TOKEN not in said + told
    if code == 3:
        assert said == ""
        assert told
    return said


def test_the_pair_of_a_url() -> None:
    said = run("urls", "https://contoso.crm.dynamics.com", "--json")
    assert json.loads(said) == {
        "primary": "https://contoso.crm.dynamics.com",
        "alternate": "https://contoso--s.crm.dynamics.com",
        "active": "https://contoso.crm.dynamics.com",
    }
    assert "contoso--s" in run("urls", environment={"D365_URL": "https://contoso.crm.dynamics.com"})
    run("urls", "https://contoso.crm.dynamics.com", "--set", "token_precedence=provider")
    both = run("urls", "https://a.example.com", "--alternate-url", "https://b.example.com", "--json")
    assert json.loads(both)["alternate"] == "https://b.example.com"


@pytest.mark.parametrize(
    "arguments",
    [
        ["urls", "https://192.168.1.1"],
        ["urls"],
        ["nonsense"],
        ["check", "https://contoso.crm.dynamics.com", "--timeout", "0"],
        ["check", "https://contoso.crm.dynamics.com", "--set", "oauth_client_secret=x"],
        ["check", "https://contoso.crm.dynamics.com", "--set", "proxy=http://user:pass@proxy"],
        ["check", "https://contoso.crm.dynamics.com", "--set", "no_such_setting=1"],
        ["check", "https://contoso.crm.dynamics.com", "--set", "deadline"],
        ["check", "https://contoso.crm.dynamics.com", "--set", "user_agent=1.5"],
        ["check", "https://contoso.crm.dynamics.com", "--set", "connect_timeout=soon"],
        ["check", "https://contoso.crm.dynamics.com", "--set", "url=1"],
        ["check", "https://contoso.crm.dynamics.com", "--timeout", "inf"],
        ["urls", "https://contoso.crm.dynamics.com", "--token-command", "sh -c 'exit"],
        ["urls", "https://contoso.crm.dynamics.com", "--token-command", " "],
        ["watch", "https://contoso.crm.dynamics.com", "--for", "nan"],
        ["watch", "https://contoso.crm.dynamics.com", "--interval", "nan"],
        ["ledger", "settle", "https://contoso.crm.dynamics.com", "--store", "no-such-file"],
        ["ledger", "replay", "https://contoso.crm.dynamics.com", "--store", __file__, str(2**63)],
        ["explain", "--cause", "nonsense"],
        ["explain", "--cause", "reset", "--status", "503"],
        ["explain", "--status", "99"],
        ["explain"],
        ["explain", "--data", "-"],
        ["explain", "no-such-file"],
    ],
)
def test_what_is_wrong_in_a_command_ends_it_before_anything_is_tried(arguments: list[str]) -> None:
    run(*arguments, code=3)


def one_refuses_and_one_is_silent(pair: FailoverPair) -> None:
    pair.primary.refuse()
    pair.alternate.black_hole()


def one_refuses_and_one_has_a_page(pair: FailoverPair) -> None:
    pair.alternate.refuse()
    pair.primary.html_page()


# What goes wrong, and the exit code without and with --both.
CODES: dict[str, tuple[Callable[[FailoverPair], object], int, int]] = {
    "both serve": (lambda pair: None, 0, 0),
    "the alternate is gone": (lambda pair: pair.alternate.refuse(), 0, 1),
    "the primary is gone": (lambda pair: pair.primary.refuse(), 4, 4),
    "it is not served there": (lambda pair: pair.serve_at("alternate"), 4, 4),
    "both are gone": (one_refuses_and_one_is_silent, 2, 2),
    "both say no": (lambda pair: pair.serve_at("neither"), 1, 1),
    "one says no, one is gone": (one_refuses_and_one_has_a_page, 1, 1),
}


@pytest.mark.parametrize("what", CODES)
def test_exit_codes(pair: FailoverPair, what: str) -> None:
    go_wrong, code, both = CODES[what]
    go_wrong(pair)
    found = json.loads(run("check", "--json", "--timeout", "2", code=code, environment=pair.environment))
    assert found["code"] == code
    run("check", "--both", "--timeout", "2", code=both, environment=pair.environment)


@pytest.mark.parametrize(
    ("environment", "verdict", "code"),
    [
        ({}, "reachable", 0),
        ({"D365_TOKEN_COMMAND": PRINTS}, "serves", 0),
        ({"D365_TOKEN": TOKEN}, "reachable", 1),
        # As a file has it.
        ({"D365_TOKEN": "token-for-contoso.crm.failover.test\n"}, "serves", 0),
        ({"D365_TOKEN_COMMAND": "false"}, "reachable", 1),
        ({"D365_TOKEN_COMMAND": "no-such-program"}, "reachable", 1),
    ],
)
def test_tokens(environment: dict[str, str], verdict: str, code: int) -> None:
    with FailoverPair(tokens=True) as pair:
        found = json.loads(run("check", "--json", code=code, environment={**pair.environment, **environment}))
        assert found["primary"]["verdict"] == verdict
        run("check", code=code, environment={**pair.environment, **environment})


class TokenServer(http.server.BaseHTTPRequestHandler):
    """Gives the pair's tokens to who knows the secret."""

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        host = form["scope"][0].removeprefix("https://").removesuffix("/.default")
        is_known = form["client_secret"] == [TOKEN]
        said = {"access_token": f"token-for-{host}", "expires_in": 3600} if is_known else {"error": "invalid_client"}
        body = json.dumps(said).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("secret", "verdict", "code"), [(TOKEN, "serves", 0), ("another", "reachable", 1), ("", None, 3)]
)
def test_the_secret_comes_from_the_environment(secret: str, verdict: str | None, code: int) -> None:
    with (
        FailoverPair(tokens=True) as pair,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenServer) as server,
        ThreadPoolExecutor(1) as threads,
    ):
        threads.submit(server.serve_forever, 0.01)
        authority = f"http://127.0.0.1:{server.server_port}"
        settings = {"oauth_tenant": "tenant", "oauth_client_id": "application", "oauth_authority": authority}
        given = [f"--set={name}={value}" for name, value in settings.items()]
        environment = {**pair.environment, "D365_OAUTH_CLIENT_SECRET": secret}
        said = run("check", "--json", *given, code=code, environment=environment)
        server.shutdown()
        assert verdict is None or json.loads(said)["primary"]["verdict"] == verdict


def test_each_step_is_shown(pair: FailoverPair) -> None:
    pair.alternate.refuse()
    said = run("check", environment=pair.environment)
    for step in ("token", "dns", "tcp", "tls", "http", "policy", "serves", "failed", "refused", "HTTP/1.1 200"):
        assert step in said
    assert "\x1b[" not in said


def lines(said: str) -> list[Any]:
    return [json.loads(line) for line in said.splitlines()]


def test_a_drill_is_recorded(pair: FailoverPair, tmp_path: Path) -> None:
    record = tmp_path / "drill.jsonl"
    command = ["watch", "--count", "3", "--interval", "0.05", "--record", str(record)]
    *looks, last = lines(run(*command, environment=pair.environment))
    assert lines(record.read_text()) == [*looks, last]
    assert [look["primary"]["verdict"] for look in looks] == ["serves"] * 3
    assert last["summary"]["looks"] == 3
    assert last["summary"]["longest_without_any_s"] == 0
    assert [span["verdict"] for span in last["summary"]["alternate"]] == ["serves"]


def as_at_a_terminal() -> None:
    # A shell starts what it puts in the background with the signal ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_drill_with_a_disaster_ends_by_ctrl_c(pair: FailoverPair) -> None:
    # What runs the tests may have them ignore it: a shell does that for what it starts in the background.
    program = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program += "runpy.run_module('d365_failover', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", program, "watch", "--interval", "0.05", "--timeout", "2"]
    environment = {**os.environ, **pair.environment}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=as_at_a_terminal
    ) as watching:
        assert watching.stdout is not None

        def until(primary: str, alternate: str) -> None:
            assert watching.stdout is not None
            for line in watching.stdout:
                look = json.loads(line)
                if (look["primary"]["verdict"], look["alternate"]["verdict"]) == (primary, alternate):
                    return
            raise AssertionError("it ended")

        until("serves", "serves")
        pair.primary.refuse()
        until("failed", "serves")
        pair.alternate.refuse()
        until("failed", "failed")
        until("failed", "failed")
        pair.alternate.recover()
        until("failed", "serves")
        watching.send_signal(signal.SIGINT)
        *_, last = lines(watching.stdout.read())
        assert watching.wait(60) == 4
    told = last["summary"]
    assert told["longest_without_any_s"] > 0
    assert [span["verdict"] for span in told["primary"]] == ["serves", "failed"]
    assert [span["cause"] for span in told["alternate"]] == [None, "refused", None]


def program(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-X", "dev", "-m", "d365_failover", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_a_token_command_that_goes_on_ends_with_the_check(pair: FailoverPair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        # Whoever listens is told of its end, however that comes.
        lasts = f"import socket; socket.create_connection(('127.0.0.1', {held.getsockname()[1]})).recv(1)"
        command = shlex.join([sys.executable, "-c", lasts])
        held.settimeout(60)

        def ask(command: str, patience: float) -> list[socket.socket]:
            asked = ["check", "--timeout", "1", "--token-command", command]
            with program(*asked, env={**os.environ, **pair.environment}) as asking:
                connections = [held.accept()[0] for _ in range(2)]
                asking.communicate(timeout=patience)
            return connections

        for connection in ask(command, 60):
            with connection:
                connection.settimeout(60)
                assert connection.recv(1) == b""
        if sys.platform != "win32":
            # What it has started is not ended with it, holds its output, and is waited for by nobody.
            for connection in ask(shlex.join(["sh", "-c", f"{command}; true"]), 4):
                connection.close()


WINDOWS = r'"C:\Program Files\az.cmd" account --tenant it\'s'


@pytest.mark.parametrize(
    ("command", "platform", "arguments"),
    [
        (r"sh -c 'echo \"a b\"' c\ d", "linux", ["sh", "-c", r"echo \"a b\"", "c d"]),
        (f" {WINDOWS} ", "win32", WINDOWS),
    ],
)
def test_a_token_command_is_split_as_its_system_does(command: str, platform: str, arguments: str | list[str]) -> None:
    assert arguments_of(command, platform) == arguments


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import os\nwhile True: os.write(1, b'secret' * 10000)", "was ended: it gave more than 262144 bytes"),
        ("print('secret', end=''); raise SystemExit(7)", "ended with 7"),
        ("import os; os.write(1, b'\\xffsecret')", "it holds characters that no token has"),
    ],
)
def test_a_token_command_that_gives_no_token(pair: FailoverPair, program: str, says: str) -> None:
    joined = subprocess.list2cmdline if sys.platform == "win32" else shlex.join
    command = joined([sys.executable, "-c", program])
    told = run("check", "--token-command", command, environment=pair.environment)
    assert says in told
    assert "secret" not in told


@pytest.mark.parametrize("asked", [["check"], ["check", "--json"], ["--help"], ["watch", "--count", "2"]])
def test_a_reader_who_has_enough(pair: FailoverPair, asked: list[str]) -> None:
    with program(*asked, env={**os.environ, **pair.environment}) as asking:
        assert asking.stdout is not None
        assert asking.stderr is not None
        asking.stdout.close()
        assert (asking.stderr.read(), asking.wait(60)) == (b"", 141)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
@pytest.mark.parametrize("form", [["--json"], []])
def test_what_cannot_be_written_is_said(form: list[str]) -> None:
    command = [sys.executable, "-m", "d365_failover", "urls", "https://contoso.crm.dynamics.com", *form]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (3, b"d365-failover: No space left on device\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no terminal to be had")
@pytest.mark.parametrize("asked", ["check", "watch"])
@pytest.mark.parametrize(("no_color", "is_plain"), [("1", True), ("", False)])
def test_a_terminal_without_colours(pair: FailoverPair, asked: str, no_color: str, is_plain: bool) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, **pair.environment, "NO_COLOR": no_color, "TERM": "xterm-256color"}
    environment.pop("FORCE_COLOR", None)
    count = ["--count", "1"] if asked == "watch" else []
    command = [sys.executable, "-m", "d365_failover", asked, *count]
    with open(ours, "rb", buffering=0) as terminal, subprocess.Popen(command, stdout=theirs, env=environment) as asking:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # so a terminal ends
            while piece := terminal.read(4096):
                shown += piece
        assert asking.wait(60) == 0
    assert b"serves" in shown
    # A table is moved in, in whatever colour.
    assert (re.search(rb"\x1b\[[0-9;]*m", shown) is None) == is_plain


CONTOSO = "https://contoso.crm.dynamics.com"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (f"urls {CONTOSO} >&-", 3),
        (f"urls {CONTOSO} --json >&-", 3),
        (f"urls {CONTOSO} <&- >&-", 3),
        (f"check {CONTOSO} --json --timeout 0.1 --connect-to {CONTOSO[8:]}:443:127.0.0.1:1 >&-", 3),
        (f"watch {CONTOSO} --count 1 --timeout 0.1 --connect-to {CONTOSO[8:]}:443:127.0.0.1:1 >&-", 3),
        ("--help >&-", 3),
        ("explain <&-", 3),
        (f"urls {CONTOSO} <&-", 0),
        (f"urls {CONTOSO} 2>&-", 0),
        ("urls nonsense 2>&-", 3),
        (f"COLUMNS=0 urls {CONTOSO}", 0),
    ],
)
def test_a_standard_stream_that_is_closed(asked: str, code: int) -> None:
    environment, _, asked = asked.rpartition("=0 ")
    environment = environment and f"{environment}=0"
    told = subprocess.run(
        ["sh", "-c", f"{environment} exec {sys.executable} -X dev -W error -m d365_failover {asked}"],
        capture_output=True,
    )
    assert told.returncode == code, told
    assert b"Traceback" not in told.stderr
    assert (told.stdout != b"") is (code == 0)
    assert (told.stderr != b"") is (code == 3 and "2>&-" not in asked)


@pytest.mark.parametrize("form", [["--json"], []])
def test_an_output_that_has_no_such_letters(form: list[str]) -> None:
    answer = 'HTTP/1.1 400 x\r\nOData-Version: 4.0\r\n\r\n{"error":{"code":"0x80040203","message":"ü€"}}'
    said = run("explain", *form, input=answer, environment={"PYTHONIOENCODING": "ascii"})
    assert (json.loads(said)["fault"]["message"] if form else said).count("ü€" if form else r"\xfc\u20ac") == 1


@pytest.mark.parametrize("asked", ["check", "watch"])
def test_ctrl_c_ends_a_look(pair: FailoverPair, asked: str) -> None:
    sides = (pair.primary, pair.alternate)
    for side in sides:
        side.slow(600)
    environment = {**os.environ, **pair.environment}
    with program(asked, "--timeout", "600", env=environment, preexec_fn=as_at_a_terminal) as asking:
        for side in sides:
            side.wait_for()
        asking.send_signal(signal.SIGINT)
        assert asking.wait(60) == 130


ANSWERS = {
    "a page": ("HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\n\r\n<html>", "unavailable"),
    "line feeds, HTTP/2": ("HTTP/2 429 \nretry-after: 7\n\n", "throttled"),
    "after a proxy's head": (
        'HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 500 x\r\nOData-Version: 4.0\r\n\r\n{"error":{"code":'
        '"0x8004B065","message":"m"}}',
        "datacenter_not_available",
    ),
    "no header": ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "bad_gateway"),
    "cut in its head": ("HTTP/1.1 504 x\r\nServer: y", "gateway_timeout"),
}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_answer_as_a_shell_has_written_it(encoding: str, tmp_path: Path) -> None:
    answer, cause = ANSWERS["after a proxy's head"]
    (tmp_path / "answer").write_text(answer, encoding=encoding, newline="")
    assert cause in run("explain", str(tmp_path / "answer"))


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_explained(name: str, tmp_path: Path) -> None:
    answer, cause = ANSWERS[name]
    told = json.loads(run("explain", "--json", "-X", "POST", input=answer))
    assert told["fault"]["cause"] == cause
    assert told["operation"] == "unsafe"
    (tmp_path / "answer").write_text(answer, newline="")
    assert cause in run("explain", str(tmp_path / "answer"))


def test_other_ways_to_explain(tmp_path: Path) -> None:
    run("explain", input="HTTP/1.1 1000 x\r\n\r\n", code=3)
    body = tmp_path / "body"
    body.write_text('{"error":{"code":"0x80072322","message":"m"}}')
    json_body = ["--response-header", "Content-Type: application/json", "--json"]
    assert json.loads(run("explain", str(body), "--status", "429", *json_body))["fault"]["cause"] == "throttled"
    said = run("explain", "-X", "POST", "--cause", "refused", "--not-sent", "--preset", "dotnet")
    assert "at once" in said
    assert "not executed" in said
    guarded = json.loads(run("explain", "-X", "PATCH", "-H", "If-None-Match: *", "--cause", "reset", "--json"))
    assert guarded["operation"] != "unsafe"
    assert (
        json.loads(run("explain", "--operation", "read", "-X", "POST", "--cause", "reset", "--json"))["effect"]
        == "none"
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_it(shell: str) -> None:
    assert "_D365_FAILOVER_COMPLETE" in run("completion", shell)


def test_bash_is_told_the_commands() -> None:
    # As the completion of a shell asks.
    asks = {"_D365_FAILOVER_COMPLETE": "bash_complete", "COMP_WORDS": "d365-failover ch", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "d365_failover"]
    done = subprocess.run(command, env={**os.environ, **asks}, capture_output=True, text=True)
    assert done.stdout == "plain,check\n"


def test_it_is_installed_under_its_name() -> None:
    program = Path(sys.executable).with_name("d365-failover")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("d365-failover, version ")


def test_without_the_extra_it_says_what_it_needs() -> None:
    program = "import sys; sys.modules['click'] = None; from d365_failover._cli import main; sys.exit(main(['urls']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "")
    assert "d365-failover[cli]" in done.stderr


INTERRUPTED = """
import sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
from d365_failover._cli import main
sys.exit(main(["urls"]))
"""


def test_ctrl_c_before_it_has_begun() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_its_page_is_what_it_says() -> None:
    command = [sys.executable, str(ROOT / "tests" / "tools" / "command_line.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
