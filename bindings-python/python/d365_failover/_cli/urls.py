"""`urls`: the pair of an organization's endpoints."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from .connection import connection, organization
from .output import SERVES, console, print_json


@click.command()
@organization
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def urls(as_json: bool, **options: Any) -> int:
    """Shows both endpoints of an organization, or why they cannot be told from URL. Sends nothing.

    Exit code: 0, or 3 where there is no pair.
    """
    with connection(**options).client() as client:
        pair = {"primary": client.primary_url, "alternate": client.alternate_url, "active": client.active_url}
    if as_json:
        print_json(pair)
        return SERVES
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for role in ("primary", "alternate"):
        table.add_row(role, pair[role], "calls begin here" if pair[role] == pair["active"] else "")
    console().print(table)
    return SERVES
