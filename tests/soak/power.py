"""Machines that lose their power in the middle of their writes, and what the store then says of each write.

    power.py TWIN WRITERS DIRECTORY

A machine is qemu's, with a kernel of the distribution; its disk has a cache, of which any part is lost with the power.
POWER (10): how often it is lost, with `store_durability` `power`, and half as often with `process`, of which the last
moments may be missing, and seen to be. POWER_SEED repeats the instants. Exits 0 where nothing is wrong.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from kills import TOLD, Told, check, on_record
from soak import Twin, verdict

HERE = Path(__file__).parent / "power"
TIMES = int(os.environ.get("POWER") or 10)
SEED = int(os.environ.get("POWER_SEED") or random.SystemRandom().randrange(1 << 32))
LATEST = 6.0
"""Seconds from the first write to the latest loss."""
MODULES = (
    *("virtio", "virtio_ring", "virtio_pci", "virtio_pci_legacy_dev"),
    *("virtio_pci_modern_dev", "virtio_blk", "virtio_net", "net_failover"),
    *("failover", "virtio_console"),
)
HOST = "10.0.2.2"
"""This machine, as that one knows it."""


class Machine:
    """What it starts with, and the disk that it keeps."""

    def __init__(self, writers: Path, directory: Path) -> None:
        self.directory = directory
        self.disk = directory / "disk"
        self.root = directory / "root"
        self.kernel = kernel(directory)
        shutil.rmtree(self.root, ignore_errors=True)
        for name in ("bin", "app", "modules", "lib64"):
            (self.root / name).mkdir(parents=True)
        shutil.copy2("/bin/busybox", self.root / "bin")
        shutil.copy2(HERE / "init", self.root)
        for name in MODULES:
            [module] = self.kernel.parent.parent.rglob(f"{name}.ko")
            shutil.copy2(module, self.root / "modules")
        shutil.copy2(writers, self.root / "app")
        for line in told("ldd", writers).splitlines():
            words = line.split()
            if path := next((word for word in words if word.startswith("/")), None):
                loader = path.startswith("/lib64/")
                shutil.copy2(path, self.root / ("lib64" if loader else "app"))

    def format(self) -> None:
        self.disk.unlink(missing_ok=True)
        with self.disk.open("wb") as disk:
            disk.truncate(256 << 20)
        run("mkfs.ext4", "-q", "-F", self.disk)

    def until_power_is_lost(
        self, environment: dict[str, str], after: float, seed: int
    ) -> bytes:
        """What was told until then."""
        lines = "".join(
            f"export {name}='{environment[name]}'\n" for name in environment
        )
        (self.root / "app" / "environment").write_text(lines)
        names = b"\n".join(
            str(path.relative_to(self.root)).encode() for path in self.root.rglob("*")
        )
        packed = self.directory / "root.cpio"
        with packed.open("wb") as out:
            subprocess.run(
                ["cpio", "-o", "-H", "newc", "--quiet"],
                cwd=self.root,
                input=names,
                stdout=out,
                check=True,
            )
        socket = self.directory / "disk.sock"
        socket.unlink(missing_ok=True)
        disk = subprocess.Popen(
            [
                *("nbdkit", "-f", "-U", socket, "--exit-with-parent", "python"),
                *(HERE / "disk.py", f"file={self.disk}", f"seed={seed}"),
            ]
        )
        while not socket.exists():
            assert disk.poll() is None, "nbdkit has ended"
            time.sleep(0.01)
        log, told = self.directory / "console.log", self.directory / "told.log"
        told.write_bytes(b"")
        machine = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "256"),
                *("-display", "none", "-no-reboot", "-serial", f"file:{log}"),
                *("-kernel", self.kernel, "-initrd", packed),
                *(
                    "-append",
                    "console=ttyS0 quiet panic=-1 no_timer_check rdinit=/init",
                ),
                *("-drive", f"file=nbd+unix:///?socket={socket},if=virtio,format=raw"),
                *("-nic", "user,model=virtio-net-pci", "-device", "virtio-serial-pci"),
                *("-chardev", f"file,id=told,path={told}"),
                *("-device", "virtserialport,chardev=told,name=told"),
            ],
            stdin=subprocess.DEVNULL,
        )
        while not told.read_bytes().startswith(b"ready\n"):
            if machine.poll() is not None:
                raise SystemExit(f"power: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        # The instant is what is tried; nothing is awaited here.
        time.sleep(after)
        machine.kill()
        disk.kill()
        machine.wait()
        disk.wait()
        return told.read_bytes()

    def store(self) -> Path:
        """The store as the next start of the machine finds it."""
        copy = self.directory / "lost"
        shutil.copyfile(self.disk, copy)
        # Its journal is played back, as by a mount.
        subprocess.run(["e2fsck", "-fy", copy], capture_output=True, check=False)
        found = self.directory / "found"
        shutil.rmtree(found, ignore_errors=True)
        found.mkdir()
        run("debugfs", "-R", f"rdump / {found}", copy)
        return found / "store.db"


def kernel(directory: Path) -> Path:
    """One of the distribution's, unpacked."""
    folder = directory / "kernel"
    if not list(folder.glob("boot/vmlinuz-*")):
        folder.mkdir(parents=True, exist_ok=True)
        depends = told("apt-cache", "depends", "linux-image-cloud-amd64").split()
        name = next(word for word in depends if word.startswith("linux-image-6"))
        run("apt-get", "download", "-q", name, cwd=folder)
        [package] = folder.glob("*.deb")
        run("dpkg-deb", "-x", package, folder)
    [found] = folder.glob("boot/vmlinuz-*")
    return found


def run(*command: str | Path, cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd, capture_output=True)


def told(*command: str | Path) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Run:
    def __init__(self, twin: Twin, machine: Machine, durability: str) -> None:
        self.twin = twin
        self.machine = machine
        self.durability = durability
        self.told: dict[str, Told] = {}
        ways = ",".join(f"{at}:{to}" for at, to in twin.state["connect_to"].items())
        self.url = twin.environment("plain")["D365_URL"]
        self.ways = ways
        self.chance = random.Random(SEED)
        machine.format()

    def lose_power(self, number: int) -> None:
        said = self.machine.until_power_is_lost(
            {
                "D365_URL": self.url,
                "D365_CONNECT_TO": self.ways.replace("127.0.0.1", HOST),
                "D365_STORE": "/store/store.db",
                "D365_STORE_DURABILITY": self.durability,
                "D365_APP": f"{self.durability}-{number}",
            },
            self.chance.uniform(0, LATEST),
            self.chance.randrange(1 << 32),
        )
        for name, effect, ledger_id in TOLD.findall(said):
            self.told[name.decode()] = Told(effect.decode(), int(ledger_id))

    def rows(self) -> Counter[str]:
        """What has reached the twin."""
        self.twin.settle("plain")
        there = self.twin.ask("/rows?org=plain&side=primary")
        names = (str(row["name"]) for row in there)
        return Counter(name for name in names if name.startswith(self.durability))

    def check(self) -> tuple[list[str], list[str]]:
        """What is wrong, and what is missing since the power was lost."""
        store = str(self.machine.store())
        entries = on_record(self.url, {"store": store, "connect_to": self.ways})
        rows = self.rows()
        effects = Counter(found.effect for one in entries.values() for found in one)
        print(
            f"power: {self.durability}: {len(self.told)} told; on record {dict(effects)}; "
            f"{sum(rows.values())} rows",
            flush=True,
        )
        wrong = check(self.told, entries, rows)
        if self.durability == "power":
            return wrong, []
        lost = ("not on record", "on record as")
        return (
            [text for text in wrong if not any(word in text for word in lost)],
            [text for text in wrong if any(word in text for word in lost)],
        )


def main() -> int:
    program, writers, where = sys.argv[1:]
    directory = Path(where)
    directory.mkdir(parents=True, exist_ok=True)
    print(f"power: {TIMES} losses, POWER_SEED={SEED} repeats them", flush=True)
    twin = Twin(program, directory)
    twin.ask("/tokens", {"org": "plain", "tokens": "off"})
    machine = Machine(Path(writers), directory)
    wrong: list[str] = []
    missing: list[str] = []
    for durability, times in (("power", TIMES), ("process", (TIMES + 1) // 2)):
        losses = Run(twin, machine, durability)
        for number in range(times):
            losses.lose_power(number)
            found, lost = losses.check()
            wrong += found
            missing += lost
        if not losses.told:
            wrong.append(f"{durability}: nobody was told of a write")
    if not missing:
        wrong.append(
            "process: nothing was lost, so this cannot tell what `power` keeps"
        )
    twin.stop()
    print(f"power: {len(missing)} words were lost by `process`")
    return verdict("power", wrong)


if __name__ == "__main__":
    sys.exit(main())
