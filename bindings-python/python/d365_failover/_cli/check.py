"""`check`: both endpoints, step by step."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from .. import Client
from .connection import connection, organization
from .output import ALTERNATE_ONLY, ANSWERS, COLOURS, SERVES, SILENT, Seconds, console, print_json

ROLES = ("primary", "alternate")


def look(client: Client, timeout: float) -> dict[str, dict[str, Any]]:
    """What is found at both, at the same time."""
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(client.check, ROLES[1], timeout=timeout)
        try:
            found = client.check(ROLES[0], timeout=timeout)
            return {ROLES[0]: found, ROLES[1]: other.result()}
        except BaseException:
            client.close(timeout=0)  # nobody waits for the other one either
            raise


def serves(report: dict[str, Any], *, with_token: bool) -> bool:
    """Without a token nobody can say more than that it answers."""
    return report["verdict"] == "serves" or (report["verdict"] == "reachable" and not with_token)


def code_of(found: dict[str, dict[str, Any]], *, with_token: bool, both: bool = False) -> int:
    primary, alternate = (serves(found[role], with_token=with_token) for role in ROLES)
    if primary and (alternate or not both):
        return SERVES
    if alternate and not primary:
        return ALTERNATE_ONLY
    answers = any(report["verdict"] != "failed" or report["http_status"] is not None for report in found.values())
    return ANSWERS if answers else SILENT


@click.command()
@organization
@click.option(
    "--timeout", type=Seconds(0.001), default=5.0, show_default=True, help="Seconds for a token, and for an answer."
)
@click.option("--both", is_flag=True, help="The alternate must serve too, or the exit code is 1.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(timeout: float, both: bool, as_json: bool, **options: Any) -> int:
    """Looks at both endpoints: name, connection, TLS, answer, failover policy, and a token if one is given.

    Exit code, as of pg_isready: 0 the primary serves; 1 an endpoint answers, and none serves; 2 none answers; 3 nothing
    was tried; 4 only the alternate serves. Without a token an endpoint counts that answers as its service does.
    """
    reached = connection(**options)
    with_token = reached.has_token
    with reached.client(auto_switch="off") as client:
        found = look(client, timeout)
    code = code_of(found, with_token=with_token, both=both)
    if as_json:
        print_json({"code": code, **found})
    else:
        shown = console()
        for role in ROLES:
            show(shown, found[role])
        told = console(stderr=True)
        if code == SERVES and not serves(found["alternate"], with_token=with_token):
            told.print("the alternate does not serve: calls would have nowhere to go")
    return code


def show(shown: Console, report: dict[str, Any]) -> None:
    head = Text(f"{report['role']:<10}")
    head.append(f"{report['verdict']:<10}", COLOURS[report["verdict"]])
    shown.print(head.append(report["url"]))
    for step in report["steps"]:
        line = Text(f"  {step['step']:<8}")
        line.append(f"{step['outcome']:<8}", COLOURS[step["outcome"]])
        line.append(f"{step['took_ms']:>8.1f} ms  " if step["took_ms"] else " " * 13)
        detail = step["detail"]
        if step["step"] == "http" and report["http_status"] is not None and step["outcome"] == "ok":
            detail = f"{report['http_version']} {report['http_status']}: {detail}"
        if step["step"] == "policy" and report["policy"] is not None:
            detail = policy_of(report["policy"])
        shown.print(line.append(detail))


def policy_of(policy: dict[str, bool]) -> str:
    there = "there is an alternate" if policy["available"] else "there is no alternate"
    return there if policy["endpoint_enabled"] else f"{there}; this endpoint is not enabled"
