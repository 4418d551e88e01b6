"""Creates accounts so that none is doubled, and settles what can be settled of the writes in question."""

import os
from typing import Any

import d365_failover

ACCOUNTS = "/api/data/v9.2/accounts"


def say(text: str) -> None:
    # In one piece: the handler runs on another thread.
    print(f"{text}\n", end="")


settings: dict[str, Any] = {"ca_bundle": os.environ.get("D365_CA_BUNDLE"), "ledger_bodies": "full"}
if "D365_CONNECT_TO" in os.environ:
    settings["connect_to"] = os.environ["D365_CONNECT_TO"]

with d365_failover.Client(os.environ["D365_URL"], **settings) as client:

    @client.on_write_in_doubt
    def in_doubt(event: d365_failover.WriteInDoubtEvent) -> None:
        say(f"in doubt: write {event.ledger_id}, {event.method} {event.url}")

    # A repeat of a plain create makes a second row: if its answer is lost, it is not sent again.
    try:
        fabrikam = {"name": "Fabrikam", "accountnumber": "python-2"}
        client.post(ACCOUNTS, json=fabrikam, tag="account python-2").raise_for_status()
    except d365_failover.FailoverError as error:
        if error.effect != "unknown":
            raise

    # The library chooses the row's id, so the service detects a repeat, and the create may be sent again.
    account = {"name": "Contoso Ltd.", "accountnumber": "python-1"}
    created = client.post(ACCOUNTS, json=account, guarded_create=True).raise_for_status()
    say(f"created {created.headers['OData-EntityId']}")

    say(f"in question: {len(client.ledger(suspects=True))}")
    client.settle()  # confirms what is there for good, sends again what is missing for good and may be
    for write in client.ledger(suspects=True):
        say(f"look yourself: {write.tag or write.url} {write.verified}")
    say(f"still in question: {len(client.ledger(suspects=True))}")
