"""Runs Python's examples where nothing is installed but the wheel and one extra, against a twin.

`with_twin.sh python3 extras.py WHEEL FOLDER [EXTRA …]`: makes a virtual environment for each extra, below FOLDER, and
runs there what the pages show for it. The pieces of the pages run as they stand; only the organization's host is the
twin's. A client finds the twin by its settings, which are put where an application would have its own, and
azure-identity, which asks a cloud, is a module that gives any token.
"""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "bindings-python" / "examples"
HOST = "contoso.crm.dynamics.com"

BEFORE = """
import os, sys, types
import d365_failover._base as base

to_native = base.to_native
def with_the_twin(settings):
    twin = {"ca_bundle": os.environ["D365_CA_BUNDLE"], "connect_to": os.environ["D365_CONNECT_TO"]}
    return to_native({**twin, **{name: value for name, value in settings.items() if value is not None}})
base.to_native = with_the_twin

class Credential:
    def __init__(self, *_, **__): ...
    def get_token(self, *scopes, **_):
        return types.SimpleNamespace(token="any", expires_on=2**40)
identity = types.ModuleType("azure.identity")
identity.DefaultAzureCredential = identity.ClientSecretCredential = Credential
sys.modules["azure.identity"] = identity
"""
# What the twin has no metadata for, Microsoft's client is told.
KNOWING = """
from PowerPlatform.Dataverse.client import DataverseClient
get_odata = DataverseClient._get_odata
def knowing(self):
    odata = get_odata(self)
    odata._logical_to_entityset_cache["account"] = "accounts"
    odata._logical_primaryid_cache["account"] = "accountid"
    odata._get_entity_by_table_schema_name = lambda *_, **__: None
    odata._convert_labels_to_ints = lambda _, record: record
    return odata
DataverseClient._get_odata = knowing
"""


@dataclass(frozen=True)
class Piece:
    """A block of Python on a page, counted from 0."""

    page: str
    number: int
    after: str = ""
    """What calls the functions that the piece only defines."""
    before: str = ""
    instead: tuple[str, str] = ("", "")


CLIENT = "\nwith d365_failover.Client(os.environ['D365_URL']) as client:\n    "
DROP_INS = "docs/reference/drop-ins.md"
SETTLING = "docs/guide/settling.md"
PIECES = {
    "": [
        Piece("README.md", 0),
        Piece("bindings-python/README.md", 0),
        Piece("docs/python.md", 0),
        Piece("docs/python.md", 1),
        Piece("docs/python.md", 3),
        Piece("docs/guide/retries.md", 0, f"{CLIENT}create(client, {{'name': 'x'}})"),
        Piece(SETTLING, 1, f"{CLIENT}look(client)"),
        Piece(SETTLING, 2, f"{CLIENT}print(settle(client))"),
        Piece("docs/guide/tokens.md", 1),
        Piece("docs/guide/testing.md", 1),
    ],
    "requests": [Piece(DROP_INS, 1)],
    "dataverse": [Piece(DROP_INS, 2, before=KNOWING)],
    "zeep": [
        Piece(DROP_INS, 3, "\nprint(service.Retrieve, service.Create, service.Execute)")
    ],
    "httpx": [Piece(DROP_INS, 0)],
    "httpx2": [Piece(DROP_INS, 0, instead=("httpx", "httpx2"))],
    "aiohttp": [
        Piece(
            DROP_INS,
            4,
            "\nimport asyncio\nprint(asyncio.run(names(os.environ['D365_URL'])))",
        )
    ],
    "azure": [Piece(DROP_INS, 5)],
    "opentelemetry": [Piece("docs/guide/operations.md", 0)],
    "cli": [],
}
PROGRAMS = {
    "requests": ["session.py"],
    "": ["first.py", "ledger.py"],
}
COMMANDS = {
    "cli": [["d365-failover", "urls", f"https://{HOST}"], ["d365-failover", "--help"]],
    "testing": [["python", "-m", "pytest", "-q", "test_page.py"]],
    "pandas": [["python", str(EXAMPLES / "load.py"), "accounts.csv"]],
    "dlt": [["python", str(EXAMPLES / "load_dlt.py"), "accounts.csv"]],
}
# What is no extra of the wheel's: what an application has beside it.
BESIDE = {
    "testing": ("", ["pytest"]),
    "pandas": ("", ["pandas", "tqdm"]),
    "dlt": ("httpx", ["dlt", "tqdm"]),
}
ALL = [*PIECES, *BESIDE]


def name_of(piece: Piece) -> str:
    return re.sub(r"\W", "_", piece.page) + f"_{piece.number}.py"


def text_of(piece: Piece, host: str) -> str:
    page = (ROOT / piece.page).read_text()
    block = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[
        piece.number
    ]
    return (
        f"{BEFORE}{piece.before}{block.replace(*piece.instead)}{piece.after}\n".replace(
            HOST, host
        )
    )


def environment(folder: Path, python: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith(("_PROXY", "CA_BUNDLE"))
    }
    return {
        **kept,
        "PATH": f"{python.parent}:{kept['PATH']}",
        "D365_CA_BUNDLE": os.environ["D365_CA_BUNDLE"],
        "REQUESTS_CA_BUNDLE": os.environ["D365_CA_BUNDLE"],
        "D365_REPLICATION_WINDOW": "0.5",
        "D365_WORK": str(folder / "work"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PYTHONWARNINGS": "default::ResourceWarning",
    }


def run(name: str, wheel: Path, folder: Path) -> tuple[list[str], int]:
    """What was wrong with an extra, and how much was run."""
    begin = time.monotonic()
    place = folder / (name or "alone")
    venv = ["-m", "venv", "--clear", "--without-pip", str(place)]
    subprocess.run([sys.executable, *venv], check=True)
    python = place / "bin" / "python"
    extra, beside = BESIDE.get(name, (name, []))
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q"]
    options = ["--disable-pip-version-check", "--no-compile"]
    subprocess.run([*pip, *options, wanted, *beside], check=True)
    installed = time.monotonic()
    host = os.environ["D365_URL"].partition("://")[2]
    commands: list[tuple[str, list[str]]] = []
    for piece in PIECES.get(name, []):
        program = place / name_of(piece)
        program.write_text(text_of(piece, host))
        commands.append((f"{piece.page} {piece.number}", [str(python), str(program)]))
    for program_name in PROGRAMS.get(name, []):
        commands.append((program_name, [str(python), str(EXAMPLES / program_name)]))
    page = (ROOT / "docs/guide/testing.md").read_text()
    first = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
    (place / "test_page.py").write_text(first)
    rows = "".join(f"Account {number},{number}\n" for number in range(200))
    (place / "accounts.csv").write_text(f"name,accountnumber\n{rows}")
    for command in COMMANDS.get(name, []):
        commands.append((" ".join(command[-2:]), command))
    faults = []
    for title, command in commands:
        told = subprocess.run(
            command,
            env=environment(place, python),
            cwd=place,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if told.returncode != 0 or "ResourceWarning" in told.stderr:
            faults.append(f"{name or 'alone'}, {title}: {told.stdout}{told.stderr}")
    end = time.monotonic()
    took = f"{installed - begin:.0f} s to install, {end - installed:.0f} s to run"
    print(f"{name or 'alone'}: {len(commands)} programs, {took}", flush=True)
    return faults, len(commands)


def main() -> None:
    wheel, folder = Path(sys.argv[1]), Path(sys.argv[2])
    names = sys.argv[3:] or ALL
    faults: list[str] = []
    count = 0
    with ThreadPoolExecutor(2) as pool:
        for wrong, number in pool.map(lambda name: run(name, wheel, folder), names):
            faults += wrong
            count += number
    for fault in faults:
        print(fault)
    print(f"{count - len(faults)} passed, {len(faults)} failed")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
