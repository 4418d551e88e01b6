"""A dlt pipeline that loads rows over httpx, across a switch if there is one, with dlt's own progress bar.

python load_dlt.py TABLE.csv
"""

import csv
import os
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import d365_failover
import dlt
import httpx
from d365_failover.httpx import FailoverTransport
from dlt.common.destination.exceptions import DestinationTerminalException

URL = os.environ["D365_URL"]
ACCOUNTS = f"{URL}/api/data/v9.2/accounts"

settings: dict[str, Any] = {
    "ca_bundle": os.environ.get("D365_CA_BUNDLE"),
    # With a file, what is in question outlives a load that is killed.
    "store": os.environ.get("D365_STORE"),
    "ledger_bodies": "full",
    "replication_window": float(os.environ.get("D365_REPLICATION_WINDOW", "900")),
}
if "D365_CONNECT_TO" in os.environ:
    settings["connect_to"] = os.environ["D365_CONNECT_TO"]

transport = FailoverTransport(URL, **settings)
client = httpx.Client(transport=transport)


@dlt.resource(name="accounts")
def rows(path: str) -> Iterator[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            # The id is of the row: dlt sends a batch again from its first row, and finds what is there.
            yield {**row, "accountid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{URL}/{row['accountnumber']}"))}


@dlt.destination(batch_size=100, name="dataverse", naming_convention="direct", skip_dlt_columns_and_tables=True)
def dataverse(items: Any, table: Any) -> None:
    for item in items:
        body = dict(item)
        key = body.pop("accountid")
        try:
            # Creates the row or has it be so: the same when it is repeated.
            client.patch(
                f"{ACCOUNTS}({key})", json=body, extensions={"failover": {"upsert": True, "tag": key}}
            ).raise_for_status()
        except d365_failover.WriteInDoubtError as error:
            # Not for dlt's retries. The ledger has it.
            raise DestinationTerminalException(str(error)) from error


place: Any = {"pipelines_dir": os.environ["D365_WORK"]} if "D365_WORK" in os.environ else {}
pipeline = dlt.pipeline("accounts", destination=dataverse, progress="tqdm", **place)
with client:
    pipeline.run(rows(sys.argv[1]))
    settled = transport.client.settle()
    print(f"calls go to {transport.client.active_url}")
    print(f"in question {settled.total}, confirmed {settled.confirmed}, sent again {settled.replayed}")
