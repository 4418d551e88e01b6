"""`override`: what the operator says of where calls go, in a store."""

from __future__ import annotations

import os
import time
from typing import Any

import click

from .connection import Connection, connection, organization, url_of_environment
from .output import SERVES, Seconds, console, print_json

_MINUTE = 60.0
_VALUES = ("off", "primary", "alternate", "none")


@click.command()
@organization
@click.argument("value", type=click.Choice(_VALUES), required=False)
@click.option("--store", envvar="D365_STORE", required=True, metavar="FILE", help="The setting of that name.")
@click.option("--minutes", type=Seconds(0, min_open=True), help="It ends by itself then; else by none.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def override(value: str | None, store: str, minutes: float | None, as_json: bool, **options: Any) -> int:
    """Shows the operator's override in a store, or sets it: for all processes that have this store.

    off: no fault moves calls; primary, alternate: calls are kept there; none takes it away. They hear of it within
    about a second, but for those whose environment has D365_FAILOVER; that of this command does not count.
    """
    if value is None and options["url"] in _VALUES:
        value, options["url"] = options["url"], url_of_environment()
    if minutes is not None and value in (None, "none"):
        raise click.UsageError("--minutes goes with off, primary or alternate")
    # It is of other processes: this one's environment is not the store's, and no reason to refuse to mend it.
    os.environ.pop("D365_FAILOVER", None)
    reached = connection(**options)
    with Connection(reached.url, {**reached.settings, "store": store}).client() as client:
        if value is not None:
            until = None if minutes is None else time.time() + minutes * _MINUTE
            client.set_override(None if value == "none" else value, until)
        current = client.current_override
    if as_json:
        until_text = None if current is None or current.until is None else current.until.isoformat()
        names = (
            {"value": None, "source": None} if current is None else {"value": current.value, "source": current.source}
        )
        print_json({**names, "until": until_text})
    elif current is None:
        console().print("none")
    else:
        end = "" if current.until is None else f", until {current.until.isoformat(timespec='seconds')}"
        console().print(f"{current.value}, by the {current.source}{end}")
    return SERVES
