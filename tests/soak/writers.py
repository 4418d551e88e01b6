"""Eight threads that create rows by one client with a store, until the process is killed. A line for each told."""

from __future__ import annotations

import os
import sys
import threading

import d365_failover

ACCOUNTS = "/api/data/v9.2/accounts"
THREADS = 8


def say(line: str) -> None:
    # In one piece: what was cut by a kill has no end of line.
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def work(client: d365_failover.Client, name: str) -> None:
    n = 0
    while True:
        n += 1
        row = f"{name}-{n}"
        try:
            answer = client.post(
                ACCOUNTS, json={"name": row}, tag=row, guarded_create=n % 2 == 0
            )
            effect, ledger_id = answer.effect, answer.ledger_id
        except d365_failover.FailoverError as error:
            effect, ledger_id = error.effect, error.ledger_id
        say(f"told {row} {effect} {ledger_id}")


def main() -> None:
    url, name, store = (
        os.environ[key] for key in ("D365_URL", "D365_APP", "D365_STORE")
    )
    client = d365_failover.Client(
        url, store=store, connect_to=os.environ["D365_CONNECT_TO"], outage_wait=0
    )
    say("ready")
    for number in range(THREADS):
        threading.Thread(target=work, args=(client, f"{name}-{number}")).start()


if __name__ == "__main__":
    main()
