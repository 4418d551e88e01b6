"""Uploads a file into a file column and downloads it again; neither way has it in memory."""

import os
import sys
from typing import Any

import d365_failover

settings: dict[str, Any] = {"ca_bundle": os.environ.get("D365_CA_BUNDLE")}
if "D365_CONNECT_TO" in os.environ:
    settings["connect_to"] = os.environ["D365_CONNECT_TO"]
column = f"/api/data/v9.2/{sys.argv[1]}"

with d365_failover.Client(os.environ["D365_URL"], **settings) as client:
    # A file can be read again: the upload begins anew at the alternate if the primary fails within it.
    with open(sys.argv[2], "rb") as source:
        headers = {"Content-Type": "application/octet-stream", "x-ms-file-name": "file.bin"}
        print("uploaded:", client.patch(column, headers=headers, content=source).raise_for_status().status_code)

    with client.stream("GET", f"{column}/$value") as response:
        response.raise_for_status()
        with open(sys.argv[3], "wb") as target:
            print("downloaded:", sum(target.write(piece) for piece in response.iter_bytes()), "bytes")
