"""Dynamics 365 / Dataverse calls that go on at the alternate datacenter when the organization's own fails."""

from ._async_client import AsyncClient
from ._client import Client
from ._events import (
    CallRetriedEvent,
    DataLossSuspectedEvent,
    EndpointSwitchEvent,
    EndpointSwitchRequiredEvent,
    Event,
    ThrottledEvent,
    WriteInDoubtEvent,
)
from ._exceptions import (
    AuthenticationError,
    BusyError,
    CallCancelledError,
    CallTimeoutError,
    CaStoreError,
    ClosedError,
    ConnectionLostError,
    DatacenterNotAvailableError,
    EndpointNotFoundError,
    FailoverError,
    ForkedError,
    HTTPStatusError,
    InvalidArgumentError,
    InvalidSettingError,
    InvalidUrlError,
    LateError,
    LedgerEntryError,
    LocalError,
    NoAlternateError,
    ProtocolError,
    ResponseNotReadError,
    ServerUnavailableError,
    StreamClosedError,
    StreamConsumedError,
    TlsError,
    UnknownSettingError,
    WouldDeadlockError,
    WriteInDoubtError,
    error_of,
)
from ._functions import Fault, alternate_url, classify, is_alternate_url, primary_url, shown_url
from ._ledger import LedgerEntry, SuspectedSince
from ._models import Attempt, BatchPart, Headers, Response
from ._native import VERSION as __version__
from ._outgoing import Outgoing, OutgoingHeaders
from ._stream import AsyncStreamedResponse, StreamedResponse

__all__ = [
    "AsyncClient",
    "AsyncStreamedResponse",
    "Attempt",
    "AuthenticationError",
    "BatchPart",
    "BusyError",
    "CaStoreError",
    "CallCancelledError",
    "CallRetriedEvent",
    "CallTimeoutError",
    "Client",
    "ClosedError",
    "ConnectionLostError",
    "DataLossSuspectedEvent",
    "DatacenterNotAvailableError",
    "EndpointNotFoundError",
    "EndpointSwitchEvent",
    "EndpointSwitchRequiredEvent",
    "Event",
    "FailoverError",
    "Fault",
    "ForkedError",
    "HTTPStatusError",
    "Headers",
    "InvalidArgumentError",
    "InvalidSettingError",
    "InvalidUrlError",
    "LateError",
    "LedgerEntry",
    "LedgerEntryError",
    "LocalError",
    "NoAlternateError",
    "Outgoing",
    "OutgoingHeaders",
    "ProtocolError",
    "Response",
    "ResponseNotReadError",
    "ServerUnavailableError",
    "StreamClosedError",
    "StreamConsumedError",
    "StreamedResponse",
    "SuspectedSince",
    "ThrottledEvent",
    "TlsError",
    "UnknownSettingError",
    "WouldDeadlockError",
    "WriteInDoubtError",
    "WriteInDoubtEvent",
    "__version__",
    "alternate_url",
    "classify",
    "error_of",
    "is_alternate_url",
    "primary_url",
    "shown_url",
]

for _name in __all__:
    _public = globals()[_name]
    if getattr(_public, "__module__", "").startswith(__name__ + "._"):
        _public.__module__ = __name__
del _name, _public
