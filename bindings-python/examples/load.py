"""Loads the rows of a pandas table, with a progress bar, across a switch if there is one, and settles afterwards.

python load.py TABLE.csv
"""

import asyncio
import os
import sys
from typing import Any

import d365_failover
import pandas
from tqdm import tqdm

ACCOUNTS = "/api/data/v9.2/accounts"
AT_ONCE = 32

settings: dict[str, Any] = {
    "ca_bundle": os.environ.get("D365_CA_BUNDLE"),
    # With a file, what is in question outlives a load that is killed.
    "store": os.environ.get("D365_STORE"),
    # What is missing after a switch is sent again from the ledger.
    "ledger_bodies": "full",
    # How long rows may be missing at the new endpoint: nothing is final before.
    "replication_window": float(os.environ.get("D365_REPLICATION_WINDOW", "900")),
}
if "D365_CONNECT_TO" in os.environ:
    settings["connect_to"] = os.environ["D365_CONNECT_TO"]


async def load(client: d365_failover.AsyncClient, table: pandas.DataFrame) -> list[str]:
    """The numbers of the accounts that are not loaded for sure."""
    rows = iter(table.to_dict("records"))
    left: list[str] = []
    with tqdm(total=len(table), unit=" rows", file=sys.stderr) as bar:

        async def work() -> None:
            for row in rows:  # one iterator: each row is one worker's
                try:
                    # The library chooses the row's id: a repeat is detected, and makes no second row.
                    answer = await client.post(ACCOUNTS, json=row, guarded_create=True, tag=row["accountnumber"])
                    answer.raise_for_status()
                except d365_failover.FailoverError as error:
                    left.append(f"{row['accountnumber']}: {error.effect}, {error}")
                bar.update()

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return left


async def main() -> int:
    table = pandas.read_csv(sys.argv[1], dtype=str)
    async with d365_failover.AsyncClient(os.environ["D365_URL"], **settings) as client:

        @client.on_endpoint_switched
        def switched(event: d365_failover.EndpointSwitchEvent) -> None:
            tqdm.write(f"calls go to {event.new_url} now", file=sys.stderr)

        left = await load(client, table)
        settled = await client.settle()
        in_question = await client.ledger(suspects=True)
    print(f"rows {len(table)}, not loaded {len(left)}")
    print(f"in question {settled.total}, confirmed {settled.confirmed}, sent again {settled.replayed}")
    for line in left:
        print(line)
    return 1 if left or in_question else 0


sys.exit(asyncio.run(main()))
