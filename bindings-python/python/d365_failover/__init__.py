"""Dynamics 365 / Dataverse calls that go on at the alternate datacenter when the organization's own fails.

    import d365_failover

    with d365_failover.Client("https://contoso.crm.dynamics.com", token_provider=credential) as client:
        account = client.post("/api/data/v9.2/accounts", json={"name": "Contoso"}).raise_for_status()
        print(account.headers["OData-EntityId"], account.effect)

This page names everything; `help(d365_failover.Client)` and the like tell the rest.

Clients
    Client                  for any number of threads; `help` lists its methods and its settings
    AsyncClient             for asyncio, with the same names as coroutines
    Settings, AsyncSettings what they take by keyword: unit, range and default of each, for type checkers

Responses
    Response                whatever its status: status_code, headers, content, text, json(), raise_for_status(), effect
    StreamedResponse        of `Client.stream`: iter_bytes(), iter_lines(), read()
    AsyncStreamedResponse   of `AsyncClient.stream`: aiter_bytes(), aiter_lines(), aread()
    Headers                 looked up in any case, listed as they came
    Request                 what a response was asked with
    Attempt                 one attempt of a call: where it went, how far it came, what was wrong
    BatchPart               what the answer to a $batch says of one request in it

Events: `client.on_…(handler)`
    EndpointSwitchRequiredEvent  before a switch; has veto()
    EndpointSwitchEvent          after a switch
    WriteInDoubtEvent            whether a write was executed is not known
    DataLossSuspectedEvent       writes are on record that the active endpoint may lack
    CallRetriedEvent             a call is sent again
    ThrottledEvent               a call waits because the service asks for less
    OutageStartedEvent           no endpoint answers; calls wait
    OutageEndedEvent             one answers again
    SettledEvent                 a walk over the writes to verify is over
    StoreFailedEvent             the store has failed, and a call went on
    Event                        what all are

Writes
    Difference              a value that a row has otherwise than a write has sent it
    LedgerEntry             a write on record: `client.ledger()`, `client.verify(entry)`, `client.resolve(id, …)`
    SettleStep, Settled     a step of `client.settling()`; the numbers of `client.settle()`
    SuspectedSince          what `client.suspect_since(time)` found
    CurrentOverride         what the operator says (`client.current_override`)

The prepare hook
    Outgoing                an attempt before it is sent
    OutgoingHeaders         its headers

Errors: all derive from FailoverError, and from the built-in class in brackets
    WriteInDoubtError            a write that may have been executed or not; nothing that a retry loop catches
    CallTimeoutError             no answer in time (TimeoutError)
    EndpointNotFoundError        no such host, refused, nothing of the service there (ConnectionError)
    ConnectionLostError          the connection ended after the request was sent (ConnectionError)
    ServerUnavailableError       the front end answered, the service did not (ConnectionError)
    DatacenterNotAvailableError  the datacenter does not serve the organization now (ConnectionError)
    TlsError                     no TLS connection (ConnectionError)
    ProtocolError                the answer was no HTTP, or not all of it came
    AuthenticationError          the token provider gave no token
    CallCancelledError           the call was cancelled, or the client closed during it
    LocalError                   this machine's own trouble (OSError)
    CaStoreError                 no certificate authorities to check servers by (OSError)
    HTTPStatusError              of Response.raise_for_status()
    ResponseNotReadError, StreamConsumedError, StreamClosedError
                                 a streamed response was used too early, twice, too late (RuntimeError)
    InvalidArgumentError         an argument has a value that it cannot have (ValueError); so are:
    InvalidUrlError              a URL that is none, or without a pair of endpoints
    InvalidSettingError          a setting out of range
    UnknownSettingError          a keyword that is no setting; says which was meant (TypeError)
    NoAlternateError             there is nothing to switch to (RuntimeError)
    OverriddenError              the operator keeps calls where they are (RuntimeError)
    LedgerEntryError             no such write on record, or nothing in question about it (LookupError)
    ClosedError, ForkedError, BusyError, LateError, WouldDeadlockError
                                 a client or an event used when or where it cannot be (RuntimeError)

Functions
    error_of(exception)          the FailoverError that an exception is or comes from
    classify(status, …)          the Fault that a response is, for those with an HTTP client of their own
    explain(method, url, …)      what a client would do about an answer, or about a fault
    Fault                        what a response says about the endpoint
    alternate_url, primary_url, is_alternate_url, shown_url
                                 of a URL, without network

Log records go to `logging` under the name "d365_failover".
"""

# Without `__all__`: with it, help() of the package is all pages at once.
from ._async_client import AsyncClient as AsyncClient
from ._client import Client as Client
from ._events import CallRetriedEvent as CallRetriedEvent
from ._events import DataLossSuspectedEvent as DataLossSuspectedEvent
from ._events import EndpointSwitchEvent as EndpointSwitchEvent
from ._events import EndpointSwitchRequiredEvent as EndpointSwitchRequiredEvent
from ._events import Event as Event
from ._events import OutageEndedEvent as OutageEndedEvent
from ._events import OutageStartedEvent as OutageStartedEvent
from ._events import SettledEvent as SettledEvent
from ._events import StoreFailedEvent as StoreFailedEvent
from ._events import ThrottledEvent as ThrottledEvent
from ._events import WriteInDoubtEvent as WriteInDoubtEvent
from ._exceptions import AuthenticationError as AuthenticationError
from ._exceptions import BusyError as BusyError
from ._exceptions import CallCancelledError as CallCancelledError
from ._exceptions import CallTimeoutError as CallTimeoutError
from ._exceptions import CaStoreError as CaStoreError
from ._exceptions import ClosedError as ClosedError
from ._exceptions import ConnectionLostError as ConnectionLostError
from ._exceptions import DatacenterNotAvailableError as DatacenterNotAvailableError
from ._exceptions import EndpointNotFoundError as EndpointNotFoundError
from ._exceptions import FailoverError as FailoverError
from ._exceptions import ForkedError as ForkedError
from ._exceptions import HTTPStatusError as HTTPStatusError
from ._exceptions import InvalidArgumentError as InvalidArgumentError
from ._exceptions import InvalidSettingError as InvalidSettingError
from ._exceptions import InvalidUrlError as InvalidUrlError
from ._exceptions import LateError as LateError
from ._exceptions import LedgerEntryError as LedgerEntryError
from ._exceptions import LocalError as LocalError
from ._exceptions import NoAlternateError as NoAlternateError
from ._exceptions import OverriddenError as OverriddenError
from ._exceptions import ProtocolError as ProtocolError
from ._exceptions import ResponseNotReadError as ResponseNotReadError
from ._exceptions import ServerUnavailableError as ServerUnavailableError
from ._exceptions import StreamClosedError as StreamClosedError
from ._exceptions import StreamConsumedError as StreamConsumedError
from ._exceptions import TlsError as TlsError
from ._exceptions import UnknownSettingError as UnknownSettingError
from ._exceptions import WouldDeadlockError as WouldDeadlockError
from ._exceptions import WriteInDoubtError as WriteInDoubtError
from ._exceptions import error_of as error_of
from ._functions import Fault as Fault
from ._functions import alternate_url as alternate_url
from ._functions import classify as classify
from ._functions import explain as explain
from ._functions import is_alternate_url as is_alternate_url
from ._functions import primary_url as primary_url
from ._functions import shown_url as shown_url
from ._ledger import Difference as Difference
from ._ledger import LedgerEntry as LedgerEntry
from ._ledger import SuspectedSince as SuspectedSince
from ._models import Attempt as Attempt
from ._models import BatchPart as BatchPart
from ._models import Headers as Headers
from ._models import Request as Request
from ._models import Response as Response
from ._native import VERSION as _VERSION
from ._operator import CurrentOverride as CurrentOverride
from ._outgoing import Outgoing as Outgoing
from ._outgoing import OutgoingHeaders as OutgoingHeaders
from ._settings import AsyncSettings as AsyncSettings
from ._settings import Settings as Settings
from ._settle import Settled as Settled
from ._settle import SettleStep as SettleStep
from ._stream import AsyncStreamedResponse as AsyncStreamedResponse
from ._stream import StreamedResponse as StreamedResponse

__version__ = _VERSION
