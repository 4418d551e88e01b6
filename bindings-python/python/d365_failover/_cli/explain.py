"""`explain`: what a client would do about an answer, or about a fault."""

from __future__ import annotations

import codecs
import re
from typing import IO, Any

import click
from rich.table import Table

from .. import explain as explained
from .output import SERVES, console, print_json

_HEAD = re.compile(rb"HTTP/[\d.]+ (\d{3})\b[^\r\n]*\r?\n")
_SWITCH = {
    "no": "no: it says nothing against the endpoint",
    "if_only_the_other_answers": "if probes find this endpoint dead and the other one alive",
    "if_the_other_answers": "if the other endpoint answers a probe",
    "at_once": "at once",
}
_EFFECT = {
    "none": "none: a read",
    "executed": "executed",
    "not_executed": "not executed",
    "unknown": "unknown: the write is in doubt",
}


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@click.option("-X", "--method", default="GET", show_default=True, help="The method of the request.")
@click.option("--url", default="/api/data/v9.2/accounts", show_default=True, help="Its URL, or the path of it.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME: VALUE", help="A header of the request.")
@click.option("--data", type=click.File("rb"), help="Its body, from a file.")
@click.option(
    "--operation",
    type=click.Choice(["read", "idempotent", "guarded", "unsafe"]),
    help="What a repeat of it does, where the library cannot know.",
)
@click.option("--preset", type=click.Choice(["safe", "dotnet"]), default="safe", show_default=True)
@click.option("--status", type=click.IntRange(100, 999), help="The answer's status, where FILE is its body alone.")
@click.option(
    "--response-header", "answered", multiple=True, metavar="NAME: VALUE", help="Of the answer; with --status."
)
@click.option(
    "--cause", metavar="NAME", help="There was no answer: what the attempt ended with, as errors name it (reset)."
)
@click.option("--sent/--not-sent", default=True, show_default=True, help="With --cause: whether a byte had left.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(
    file: IO[bytes],
    method: str,
    url: str,
    headers: tuple[str, ...],
    data: IO[bytes] | None,
    operation: str | None,
    preset: str,
    status: int | None,
    answered: tuple[str, ...],
    cause: str | None,
    sent: bool,
    as_json: bool,
) -> int:
    """Tells what a client would do about an answer: as "curl -i" shows it, in FILE or from a pipe.

    By the library's own rules, without network: the kind of fault, what it says of the endpoint, what became of a
    write, whether it is sent again.

    Exit code: 0, or 3 where there is nothing to explain.
    """
    if data is file:
        raise click.UsageError("the answer and --data cannot both come from standard input")
    request: dict[str, Any] = {
        "preset": preset,
        "request_headers": [_header(header) for header in headers],
        "content": None if data is None else data.read(),
        "operation": operation,
    }
    if cause is not None:
        if status is not None or answered:
            raise click.UsageError("--cause is for an attempt without an answer: no --status, no --response-header")
        told = explained(method, url, cause=cause, sent=sent, **request)
    else:
        if file.isatty():
            click.echo("waiting for an answer on standard input", err=True)
        raw = file.read()
        status, found, body = _answer(raw) if status is None else (status, [], raw)
        found = [*found, *(_header(header) for header in answered)]
        told = explained(method, url, status=status, headers=found, body=body, **request)
    if as_json:
        print_json(told)
    else:
        _show(told)
    return SERVES


def _header(text: str) -> tuple[str, str]:
    name, is_one, value = text.partition(":")
    if not is_one:
        raise click.UsageError(f"{name!r}: a header is NAME: VALUE")
    return name.strip(), value.strip()


def _answer(raw: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of the last head: a proxy's and a 100 stand before it."""
    raw = _octets(raw)
    head = _HEAD.match(raw)
    if head is None:
        raise click.UsageError(
            'it does not begin as "curl -i" shows an answer (HTTP/1.1 503 …); give --status for a body'
        )
    while True:
        lines, separator, rest = _split(raw[head.end() :])
        following = _HEAD.match(rest)
        if following is None or not separator:
            break
        raw, head = rest, following
    headers = []
    for line in lines.splitlines():
        name, is_one, value = line.decode("latin-1").partition(":")
        if is_one:
            headers.append((name.strip(), value.strip()))
    return int(head[1]), headers, rest


def _octets(raw: bytes) -> bytes:
    """As a shell has written them into a file: PowerShell's ">" begins it with a mark, and writes UTF-16."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", "replace").encode()
    return raw.removeprefix(codecs.BOM_UTF8)


def _split(text: bytes) -> tuple[bytes, bytes, bytes]:
    # A head without a header ends where it begins.
    found = re.search(rb"(?:^|\r?\n)\r?\n", text)
    return (text, b"", b"") if found is None else (text[: found.start()], found[0], text[found.end() :])


def _show(told: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    fault = told["fault"]
    several = ", several in one" if told["is_compound"] else ""
    table.add_row("operation", f"{told['operation']}{several}")
    if fault is None:
        table.add_row("fault", "none")
    else:
        code = "" if fault["code"] is None else f", code 0x{fault['code'] & 0xFFFFFFFF:08X}"
        table.add_row("fault", f"{fault['kind']} ({fault['cause']}{code})")
        if fault["message"]:
            table.add_row("", fault["message"])
    table.add_row("evidence", told["evidence"])
    table.add_row("switch", _SWITCH.get(told["switch"], told["switch"]))
    table.add_row("effect", _EFFECT.get(told["effect"], told["effect"]))
    for part in told["parts"] or ():
        table.add_row(
            f"part {part['index']}", f"HTTP {part['status']}" + (f", code {part['code']}" if part["code"] else "")
        )
    if told["next"] is not None:
        if told["switch"] != "no":
            table.add_row("switched", _next(told["next"]["switched"], told))
        table.add_row("stayed", _next(told["next"]["stayed"], told))
    else:
        table.add_row("ends as", told["ends_as"])
    console().print(table)


def _next(step: dict[str, Any] | None, told: dict[str, Any]) -> str:
    if step is None:
        return f"not sent again; the call ends with its {told['ends_as']}"
    pause = step["again_after_ms"]
    when = f" after {pause / 1000:g} s" if pause else ""
    if step["reads_row"]:
        return f"its row is read{when}, and it is sent again if there is none"
    return f"sent again{when}"
