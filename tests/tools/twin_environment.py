"""Prints, for a shell to take, the environment that the example programs read from a twin's description."""

import json
import shlex
import sys
from pathlib import Path


def main() -> None:
    twin = json.loads(Path(sys.argv[1]).read_text())
    organization = next(iter(twin["organizations"].values()))
    environment = {
        "D365_URL": organization["primary"]["url"],
        "D365_CA_BUNDLE": twin["ca_file"],
        "D365_CONNECT_TO": ",".join(
            f"{origin}:{target}" for origin, target in twin["connect_to"].items()
        ),
    }
    for name, value in environment.items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
