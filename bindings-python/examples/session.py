"""Code that calls by requests goes on at the alternate datacenter: a session, and the rest is as ever."""

import os
from typing import Any

import d365_failover
import d365_failover.requests
import requests

ORGANIZATION = os.environ["D365_URL"]
ACCOUNTS = f"{ORGANIZATION}/api/data/v9.2/accounts"


def create(session: requests.Session, name: str) -> str:
    """Knows nothing of datacenters."""
    response = session.post(ACCOUNTS, json={"name": name}, timeout=(5, 60))
    response.raise_for_status()
    return str(response.headers["OData-EntityId"])


settings: dict[str, Any] = {"ca_bundle": os.environ.get("D365_CA_BUNDLE")}
if "D365_CONNECT_TO" in os.environ:
    settings["connect_to"] = os.environ["D365_CONNECT_TO"]

with d365_failover.requests.Session(ORGANIZATION, **settings) as session:
    row = create(session, "Contoso Ltd.")
    response = session.get(row)
    response.raise_for_status()
    print(response.json()["name"], "is at", session.client.active_url)

    try:
        create(session, "Fabrikam")
    except d365_failover.WriteInDoubtError as doubt:
        # No requests.RequestException: what sends those again would make a second row.
        print("in doubt: write", doubt.ledger_id)
    else:
        # Sent again where its answer is lost, and found out: the library has chosen its id.
        session.headers["D365-Failover-Guarded-Create"] = "on"
        print("created", create(session, "Northwind").partition("/api/")[2])
