"""`ledger`: the writes that a store has on record."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import sys
from typing import Any

import click
from rich.table import Table

from .. import Client, FailoverError, LedgerEntry, Settled, SettleStep, WriteInDoubtError
from .connection import Connection, connection, organization, url_of_environment
from .output import COLOURS, SERVES, console, print_json

LEFT = 1
"""Something is left to be done by a person."""

# One that is not there would be made, and have nothing in question.
_STORE = click.option(
    "--store",
    envvar="D365_STORE",
    type=click.Path(exists=True),
    required=True,
    metavar="FILE",
    help="The setting of that name.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON lines.")
_ID = click.IntRange(1, 2**63 - 1)


@click.group()
def ledger() -> None:
    """The writes on record in a store: lists them, asks the service for them, sends again what is missing.

    A store is the file that the applications have as their setting "store". It may be in use.
    """


def _reached(store: str, options: dict[str, Any]) -> Connection:
    reached = connection(**options)
    return Connection(reached.url, {**reached.settings, "store": store})


def told(entry: LedgerEntry) -> dict[str, Any]:
    """As JSON has it. What the rows hold is not in it."""
    values = dataclasses.asdict(entry)
    values["differences"] = [difference.name for difference in entry.differences]
    return {
        name: value.isoformat() if isinstance(value, datetime.datetime) else value for name, value in values.items()
    }


@ledger.command("list")
@organization
@_STORE
@click.option("--suspects", is_flag=True, help="Only those that are to be verified.")
@_JSON
def list_(store: str, suspects: bool, as_json: bool, **options: Any) -> int:
    """Lists the writes on record, the oldest first. Sends nothing.

    Exit code: 0; 3 where the store cannot be read.
    """
    with _reached(store, options).client() as client:
        entries = client.ledger(suspects=suspects)
    if as_json:
        for entry in entries:
            print_json(told(entry))
        return SERVES
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("id", "started", "write", "effect", "to verify", "found", "resolved", "tag"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        found = entry.verified or ""
        table.add_row(
            str(entry.id),
            entry.started.strftime("%Y-%m-%d %H:%M:%SZ"),
            f"{entry.method} {entry.row_url or entry.url}",
            entry.effect or "in flight",
            "yes" if entry.is_suspect else "",
            f"{found} for good" if found and entry.is_final else found,
            entry.resolution or "",
            entry.tag or "",
        )
    console().print(table)
    return SERVES


@ledger.command()
@organization
@_STORE
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--suspects", is_flag=True, help="Only those that are to be verified.")
def export(store: str, form: str, suspects: bool, **options: Any) -> int:
    """Writes the record out, for another program: each write with all that is known of it, but no values of rows."""
    with _reached(store, options).client() as client:
        entries = client.ledger(suspects=suspects)
    if form == "jsonl":
        for entry in entries:
            print_json(told(entry))
        return SERVES
    writer = csv.writer(sys.stdout)
    writer.writerow(field.name for field in dataclasses.fields(LedgerEntry))
    for entry in entries:
        values = told(entry).values()
        writer.writerow(" ".join(value) if isinstance(value, list | tuple) else value for value in values)
    return SERVES


@ledger.command()
@organization
@_STORE
@_JSON
def verify(store: str, as_json: bool, **options: Any) -> int:
    """Asks the active endpoint what became of each write that is to be verified. Reads only; what is found
    is on record.

    Exit code: 0 all are there for good, 1 some are not, or it was broken off.
    """
    with _reached(store, options).client() as client:
        missing = 0
        try:
            for step in client.verify_all():
                missing += step.verified != "present" or not step.is_final
                _step(step, as_json)
        except FailoverError as error:
            return _broken_off(error)
        except KeyboardInterrupt:
            client.close(timeout=0)  # nobody waits for the other looks either
            raise
    return LEFT if missing else SERVES


@ledger.command()
@organization
@_STORE
@click.argument("ids", type=_ID, nargs=-1, metavar="IDS...")
@click.option("--wanted", is_flag=True, help="Whatever was found of it, also what a repeat would do twice.")
@_JSON
def replay(store: str, ids: tuple[int, ...], wanted: bool, as_json: bool, **options: Any) -> int:
    """Sends writes again that were found to be missing for good, by their numbers.

    Exit code: 0 all were executed, 1 one was not.
    """
    if options["url"].isdecimal():
        first = _ID.convert(options["url"], None, click.get_current_context())
        ids, options["url"] = (first, *ids), url_of_environment()
    if not ids:
        raise click.UsageError("Missing argument 'IDS...'.")
    code = SERVES
    with _reached(store, options).client() as client:
        for ledger_id in ids:
            code = max(code, _replay(client, ledger_id, wanted, as_json))
    return code


def _replay(client: Client, ledger_id: int, wanted: bool, as_json: bool) -> int:
    try:
        answer = client.replay(ledger_id, wanted=wanted)
    except FailoverError as error:
        result = {"id": ledger_id, "effect": error.effect, "status": error.status, "why": str(error)}
        _say(result, as_json, f"{ledger_id}: {error}")
        if isinstance(error, WriteInDoubtError):
            click.echo(f"write {ledger_id} is in doubt again", err=True)
        return LEFT
    result = {"id": ledger_id, "effect": answer.effect, "status": answer.status_code, "why": ""}
    _say(result, as_json, f"{ledger_id}: HTTP {answer.status_code}, {answer.effect}")
    return SERVES if answer.effect == "executed" else LEFT


@ledger.command()
@organization
@_STORE
@click.option("--confirm/--no-confirm", default=True, show_default=True, help="Resolves what is there for good.")
@click.option("--replay/--no-replay", default=True, show_default=True, help="Sends again what is missing for good.")
@_JSON
def settle(store: str, confirm: bool, replay: bool, as_json: bool, **options: Any) -> int:
    """Verifies all, confirms what is there, sends again what is missing and may be, and leaves the rest.

    Exit code: 0 nothing is left, 1 something is, also where it was broken off.
    """
    with _reached(store, options).client() as client:
        try:
            settled: Settled = client.settle(confirm=confirm, replay=replay)
        except FailoverError as error:
            return _broken_off(error)
    if as_json:
        print_json(dataclasses.asdict(settled))
    else:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, number in dataclasses.asdict(settled).items():
            table.add_row(name, str(number))
        console().print(table)
    return LEFT if settled.left else SERVES


def _broken_off(error: FailoverError) -> int:
    """The endpoint, or the store, has failed on the way: what was done is done, and the rest is left."""
    click.echo(f"d365-failover: {error}", err=True)
    return LEFT


def _step(step: SettleStep, as_json: bool) -> None:
    if as_json:
        values = dataclasses.asdict(step)
        del values["settled"]
        print_json({**values, "done": step.settled.done, "total": step.settled.total})
        return
    verdict = step.verified or "not known"
    console().print(f"{step.id:>6}  {verdict}{' for good' if step.is_final else ''}  {step.why}")
    console(stderr=True).print(f"{step.settled.done} of {step.settled.total}", end="\r")


def _say(result: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        print_json(result)
    else:
        console().print(text, style=COLOURS["ok"] if result["effect"] == "executed" else COLOURS["failed"])
