"""One side of a pair: a server on 127.0.0.1 over TLS, and what goes wrong at it."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ._channel import Channel
from ._fault import Fault
from ._http import Answer, Connection, Gone, Request
from ._web_api import THROTTLED, ServiceError

_ENDING_TIME = 5.0
"""For a connection's thread to close it."""


@dataclass(frozen=True)
class Seen:
    """A request that came to a side, in `Side.requests`."""

    method: str
    path: str
    """With its query."""
    headers: list[tuple[str, str]]
    body: bytes
    executed: bool
    """Whether the service has seen it, whatever was answered."""
    status: int | None
    """What was answered; `None`: nothing."""


class Side:
    """`FailoverPair.primary` or `FailoverPair.alternate`. Every method may be called from any thread, at any time."""

    def __init__(self, role: str, host: str, context: ssl.SSLContext, serve: Callable[[str, Request], Answer]) -> None:
        self.role = role
        self.host = host
        self.requests: list[Seen] = []
        """What has come, the oldest first."""
        self.connections: int = 0
        """How many connections were accepted."""
        self._context = context
        self._serve = serve
        self._changed = threading.Condition()
        self._faults: list[Fault] = []
        self._open: set[Channel] = set()
        self._alive: set[Channel] = set()
        self._frozen = self._closed = self._refuses = False
        # Keeps the port while nobody listens there: it is refused then, and nobody else's.
        self._holder = self._bound(0)
        self.port: int = self._holder.getsockname()[1]
        self._listener: socket.socket | None = None
        self._listen()

    @property
    def url(self) -> str:
        """Its base URL, whose host exists nowhere: `FailoverPair.settings` say where it is."""
        return f"https://{self.host}"

    # ---- what goes wrong ---------------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """The datacenter is gone: connections are refused, and those that are open are reset. Until `recover()`."""
        with self._changed:
            self._refuses = True
            self._stop_listening()
            self._reset_all()

    def black_hole(self) -> None:
        """Nothing that arrives is answered any more, on no connection, and no TLS handshake ends. Until `recover()`."""
        with self._changed:
            self._frozen = True

    def cut_after_commit(
        self, *, times: int | None = 1, method: str | None = None, path_contains: str | None = None
    ) -> Fault:
        """The request is executed, and its connection reset in place of an answer."""
        return self._set(Fault("cut_after_commit", method, path_contains, times))

    def cut_before_commit(
        self, *, times: int | None = 1, method: str | None = None, path_contains: str | None = None
    ) -> Fault:
        """The request is read and not executed, and its connection is reset."""
        return self._set(Fault("cut_before_commit", method, path_contains, times))

    def status(
        self,
        status: int,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | str = b"",
        commit: bool = False,
        times: int | None = None,
        method: str | None = None,
        path_contains: str | None = None,
    ) -> Fault:
        """This is answered, by default as a front end does: without the service's mark. With `commit` the request is
        executed all the same."""
        content = body.encode() if isinstance(body, str) else body
        given = {} if headers is None else dict(headers)
        fault = Fault("status", method, path_contains, times, status=status, headers=given, body=content, commit=commit)
        return self._set(fault)

    def html_page(
        self, status: int = 503, *, times: int | None = None, method: str | None = None, commit: bool = False
    ) -> Fault:
        """A front end's page is answered, as in maintenance."""
        page = "<!DOCTYPE html><html><body><h2>The service is temporarily unavailable</h2></body></html>"
        content_type = {"Content-Type": "text/html; charset=utf-8"}
        return self.status(status, headers=content_type, body=page, times=times, method=method, commit=commit)

    def throttle(self, retry_after: int = 1, *, times: int | None = 1, method: str | None = None) -> Fault:
        """The service asks for less: 429 with `Retry-After` in seconds; nothing is executed."""
        return self._set(Fault("throttle", method, None, times, seconds=retry_after))

    def slow(
        self,
        seconds: float,
        *,
        times: int | None = None,
        method: str | None = None,
        path_contains: str | None = None,
    ) -> Fault:
        """The request is executed, and answered so many seconds later, or when the side recovers."""
        return self._set(Fault("slow", method, path_contains, times, seconds=seconds))

    def recover(self) -> None:
        """Ends all that goes wrong here."""
        with self._changed:
            for fault in self._faults:
                fault.clear()
            self._faults.clear()
            self._frozen = False
            self._changed.notify_all()
            if self._refuses and not self._closed:
                self._refuses = False
                self._listen()

    def _set(self, fault: Fault) -> Fault:
        with self._changed:
            self._faults.append(fault)
        return fault

    # ---- what has come -----------------------------------------------------------------------------------------------

    def wait_for(self, count: int = 1, *, method: str | None = None, timeout: float = 30.0) -> list[Seen]:
        """Waits until so many requests have come, of this method or any, and tells them.

        Raises `TimeoutError`.
        """

        def found() -> list[Seen]:
            return [seen for seen in self.requests if method is None or method.upper() == seen.method]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, timeout):
                raise TimeoutError(f"{len(found())} of {count} requests have come to the {self.role}")
            return found()

    # ---- the server --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends the server and its connections."""
        with self._changed:
            self._closed = True
            self._frozen = False
            self._stop_listening()
            self._reset_all()
            self._holder.close()
            self._changed.notify_all()

    def _bound(self, port: int) -> socket.socket:
        made = socket.socket()
        if hasattr(socket, "SO_REUSEPORT"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(("127.0.0.1", port))
        return made

    def _listen(self) -> None:
        if not hasattr(socket, "SO_REUSEPORT"):
            self._holder.close()
        self._listener = self._bound(self.port)
        self._listener.listen(128)
        threading.Thread(
            target=self._accept, args=(self._listener,), name=f"d365-{self.role}-listener", daemon=True
        ).start()

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            # Closing alone does not wake who accepts.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _reset_all(self) -> None:
        for channel in self._open:
            channel.end()
        self._open.clear()
        self._changed.notify_all()
        # A request that is sent after this must not find one open.
        self._changed.wait_for(lambda: not self._alive, _ENDING_TIME)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError as error:
                # Windows tells here that whoever came has gone already.
                if isinstance(error, ConnectionError) or error.errno == errno.ENOTCONN:
                    continue
                return
            try:
                channel = Channel(accepted, self._context)
            except OSError:
                accepted.close()  # whoever came has gone already
                continue
            with self._changed:
                if self._listener is not listener:
                    channel.reset()
                    return
                self._open.add(channel)
                self._alive.add(channel)
                self.connections += 1
            threading.Thread(target=self._connection, args=(channel,), name=f"d365-{self.role}", daemon=True).start()

    def _thaw(self, channel: Channel) -> None:
        """Waits as long as nothing is answered."""
        with self._changed:
            self._changed.wait_for(lambda: not self._frozen or channel not in self._open)
            if channel not in self._open:
                raise Gone

    def _connection(self, channel: Channel) -> None:
        try:
            self._thaw(channel)
            channel.secure()
            connection = Connection(channel.read, channel.write)
            while self._exchange(channel, connection):
                pass
            channel.close()
        except (Gone, OSError):
            channel.reset()
        except BaseException:
            # Who waits for an answer hears that there is none.
            channel.reset()
            raise
        finally:
            with self._changed:
                self._open.discard(channel)
                self._alive.discard(channel)
                self._changed.notify_all()

    def _exchange(self, channel: Channel, connection: Connection) -> bool:
        """One request and its answer; whether the connection goes on."""
        request = connection.request()
        self._thaw(channel)
        with self._changed:
            fault = next((one for one in self._faults if one.meets(request.method, request.target)), None)
        answer, executed = self._answer(request, fault)
        is_cut = fault is not None and fault.kind.startswith("cut")
        with self._changed:
            status = None if is_cut else answer.status
            seen = Seen(request.method, request.target, request.headers, request.body, executed, status)
            self.requests.append(seen)
            self._changed.notify_all()
            if fault is not None and fault.kind == "slow":
                slow = fault
                self._changed.wait_for(lambda: slow.cleared or channel not in self._open, slow.seconds)
        if is_cut:
            raise Gone
        self._thaw(channel)
        channel.write(answer.encoded(with_body=request.method != "HEAD"))
        return (request.header("Connection") or "").lower() != "close"

    def _answer(self, request: Request, fault: Fault | None) -> tuple[Answer, bool]:
        if fault is None or fault.kind in ("slow", "cut_after_commit"):
            return self._serve(self.role, request), True
        if fault.kind == "status":
            if fault.commit:
                self._serve(self.role, request)
            return Answer(fault.status, list(fault.headers.items()), fault.body), fault.commit
        if fault.kind == "throttle":
            answer = ServiceError(429, THROTTLED, "Number of requests exceeded the limit.").answer()
            answer.headers.append(("Retry-After", str(int(fault.seconds))))
            return answer, False
        return Answer(500), False
