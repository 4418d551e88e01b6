"""Twenty threads that share one client over HTTP/2, until standard input ends. Writes what each create was told."""

from __future__ import annotations

import collections
import json
import os
import random
import sys
import threading
from typing import Any

import d365_failover

ACCOUNTS = "/api/data/v9.2/accounts"
THREADS = 20

told: dict[str, dict[str, Any]] = {}
"""By the name of its row: effect, id, ledger number of each create."""
doubts: set[int] = set()
counts: collections.Counter[str] = collections.Counter()
over = threading.Event()


def create(client: d365_failover.Client, name: str, chance: random.Random) -> None:
    try:
        answer = client.post(
            ACCOUNTS,
            json={"name": name},
            guarded_create=chance.random() < 0.5,
            tag=name,
        )
        effect, ledger_id, counted = (
            answer.effect,
            answer.ledger_id,
            str(answer.status_code),
        )
        url = answer.headers.get("OData-EntityId", "")
    except d365_failover.FailoverError as error:
        effect, ledger_id, counted, url = (
            error.effect,
            error.ledger_id,
            f"{error.kind} {error.effect}",
            "",
        )
        # What a loop that repeats what was lost or late would catch.
        if effect == "unknown" and isinstance(error, (OSError, TimeoutError)):
            counts["in doubt, and of a class that is repeated"] += 1
    told[name] = {
        "effect": effect,
        "ledger": ledger_id,
        "id": url.rpartition("(")[2].rstrip(")"),
    }
    counts[counted] += 1


def work(client: d365_failover.Client, number: int, seed: int) -> None:
    chance = random.Random(f"{seed} {number}")
    n = 0
    while not over.is_set():
        n += 1
        create(client, f"python-{number}-{n}", chance)
        try:
            client.get(f"{ACCOUNTS}?$top=1", timeout=3)
        except d365_failover.FailoverError as error:
            counts[f"read {error.kind}"] += 1
        if number == 0 and n % 20 == 0:
            # By hand, whatever the faults do meanwhile.
            client.switch_endpoint()
            counts["switched by hand"] += 1


def main() -> None:
    seed = int(os.environ["SOAK_SEED"])
    settings: dict[str, Any] = {
        "ca_bundle": os.environ["D365_CA_BUNDLE"],
        "connect_to": os.environ["D365_CONNECT_TO"],
        "token_provider": lambda url: "twin-token-for-" + url.partition("://")[2],
        "attempt_timeout": 2.0,
        "deadline": 5.0,
        "hold_down": 0.5,
        "probe_after": 0.3,
    }
    with d365_failover.Client(os.environ["D365_URL"], **settings) as client:
        client.on_write_in_doubt(lambda event: doubts.add(event.ledger_id))
        threads = [
            threading.Thread(target=work, args=(client, number, seed))
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        print("ready", flush=True)
        sys.stdin.read()
        over.set()
        for thread in threads:
            thread.join()
        suspects = {entry.id: entry.effect for entry in client.ledger(suspects=True)}
    report = {
        "told": told,
        "doubts": sorted(doubts),
        "suspects": suspects,
        "counts": counts,
    }
    with open(os.environ["SOAK_REPORT"], "w", encoding="utf-8") as out:
        json.dump(report, out)
    print("done", flush=True)


if __name__ == "__main__":
    main()
