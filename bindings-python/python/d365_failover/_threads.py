"""A thread of the library's."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from ._exceptions import of_kind


class LibraryThread(threading.Thread):
    """A daemon that takes no signal of the application's: one that is blocked for `signal.sigwait` would end the
    process here."""

    def __init__(self, name: str, target: Callable[..., None], *args: Any) -> None:
        super().__init__(target=target, args=args, name=name, daemon=True)

    def start(self) -> None:
        try:
            super().start()
        except RuntimeError as lacking:
            raise of_kind("no_resources", f"no thread for {self.name}: {lacking}") from lacking

    def run(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # These a thread raises itself, by what it does: faulthandler needs them there.
            faults = {signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP}
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)
        super().run()
