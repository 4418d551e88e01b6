"""A server that answers each request with the same bytes, for what no well-meant server does."""

from __future__ import annotations

import socket
import threading
from typing import Any

import d365_failover

HOST = "contoso.crm.script.test"


def end_accepting(listener: socket.socket, thread: threading.Thread) -> None:
    """Has the thread that accepts come to its end."""
    # Closed under who still accepts, its number would be the next one's, and this one would accept there.
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:  # Windows has nothing to shut down of one that listens
        listener.close()
    thread.join(60)
    assert not thread.is_alive()
    listener.close()


class Scripted:
    """Opened as an organization of both clients. Each answer is sent at once."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        end_accepting(self._listener, self._thread)

    def _serve(self) -> None:
        playing = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            self.connections += 1
            playing.append(threading.Thread(target=self._play, args=(connection,)))
            playing[-1].start()
        for thread in playing:
            thread.join(60)

    def _play(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as requests:
            try:
                while requests.readline():
                    while requests.readline().strip():
                        pass
                    connection.sendall(self._answer)
            except OSError:
                return

    @property
    def url(self) -> str:
        return f"http://{HOST}"

    @property
    def settings(self) -> dict[str, Any]:
        port = self._listener.getsockname()[1]
        # It answers no probe as a service would: what a call gets is not to be waited for.
        return {"connect_to": {f"{HOST}:80": f"127.0.0.1:{port}"}, "auto_switch": False, "outage_wait": 0}

    def client(self, **settings: Any) -> d365_failover.Client:
        return d365_failover.Client(self.url, **{**self.settings, **settings})

    def async_client(self, **settings: Any) -> d365_failover.AsyncClient:
        return d365_failover.AsyncClient(self.url, **{**self.settings, **settings})
