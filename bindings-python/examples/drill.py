"""An application that works through a failover: Web API and SOAP, rows with names, until its standard input ends.

It prints one line for everything that happens to it, so that what it was told can be compared with what there is.
"""

import os
import re
import select
import sys
import uuid
from collections.abc import Callable
from typing import Any

import d365_failover

SOAP_URL = "/XRMServices/2011/Organization.svc/web"
SERVICES = "http://schemas.microsoft.com/xrm/2011/Contracts/Services"
ENVELOPE = """<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>"""
CREATE = """<Create xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"
 xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><entity
 xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts"><a:Attributes
 xmlns:b="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><a:KeyValuePairOfstringanyType>
 <b:key>name</b:key><b:value i:type="c:string" xmlns:c="http://www.w3.org/2001/XMLSchema">{}</b:value>
 </a:KeyValuePairOfstringanyType></a:Attributes><a:EntityState i:nil="true"/><a:FormattedValues
 xmlns:b="http://schemas.datacontract.org/2004/07/System.Collections.Generic"/>
 <a:Id>00000000-0000-0000-0000-000000000000</a:Id><a:LogicalName>account</a:LogicalName><a:RelatedEntities
 xmlns:b="http://schemas.datacontract.org/2004/07/System.Collections.Generic"/></entity></Create>"""
WHO_AM_I = """<Execute xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"
 xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><request i:type="c:WhoAmIRequest"
 xmlns:a="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:c="http://schemas.microsoft.com/crm/2011/Contracts">
 <a:Parameters xmlns:b="http://schemas.datacontract.org/2004/07/System.Collections.Generic"/>
 <a:RequestId i:nil="true"/><a:RequestName>WhoAmI</a:RequestName></request></Execute>"""
GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

app = os.environ.get("D365_APP", "python")
guarded = os.environ.get("D365_GUARDED_CREATES") == "on"
calls = 0


def say(*words: object) -> None:
    # In one piece: handlers run on another thread.
    print(" ".join(map(str, words)) + "\n", end="", flush=True)


def settings() -> dict[str, Any]:
    found: dict[str, Any] = {"ca_bundle": os.environ.get("D365_CA_BUNDLE"), "preset": os.environ.get("D365_PRESET")}
    found["connect_to"] = os.environ.get("D365_CONNECT_TO")
    for name in ("store", "ledger_bodies"):
        found[name] = os.environ.get(f"D365_{name.upper()}")
    for name in ("attempt_timeout", "write_grace", "replication_window"):
        milliseconds = os.environ.get(f"D365_{name.upper()}_MS")
        found[name] = milliseconds and int(milliseconds) / 1000
    prefix = os.environ.get("D365_TOKEN_PREFIX")
    if prefix is not None:
        found["token_provider"] = lambda url: prefix + url.partition("://")[2]
    return found


def attempt(
    what: str, call: Callable[[], d365_failover.Response], creates: str | None = None
) -> d365_failover.Response | None:
    """None if it failed. `creates` is the name of the row that the call creates."""
    global calls
    calls += 1
    try:
        response = call().raise_for_status()
    except d365_failover.FailoverError as error:
        say("error", error.kind, what, *str(error).split())
        if creates is not None and error.ledger_id is not None:
            # Whether it was executed all the same, `effect` says.
            say("failed", creates, error.effect, error.ledger_id)
        return None
    say("call ok", what)
    if len(response.attempts) > 1:
        say("call retried", what)
    return response


def soap(client: d365_failover.Client, action: str, body: str, creates: str | None = None) -> d365_failover.Response:
    headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f"{SERVICES}/IOrganizationService/{action}"}
    is_guarded = guarded and creates is not None
    content = ENVELOPE.format(body)
    return client.post(SOAP_URL, headers=headers, content=content, tag=creates, guarded_create=is_guarded)


def web(client: d365_failover.Client, creates: str) -> d365_failover.Response:
    return client.post("/api/data/v9.2/accounts", json={"name": creates}, tag=creates, guarded_create=guarded)


def work(client: d365_failover.Client, n: int) -> None:
    name = f"{app}-web-{n}"
    created = attempt("create-web", lambda: web(client, name), name)
    if created is not None:
        url = created.headers["OData-EntityId"]
        say("created", uuid.UUID(GUID.findall(url)[-1]), name, created.ledger_id)
        attempt("read-web", lambda: client.get(url))
    name = f"{app}-soap-{n}"
    created = attempt("create-soap", lambda: soap(client, "Create", CREATE.format(name), name), name)
    if created is not None:
        say("created", uuid.UUID(GUID.findall(created.text)[-1]), name, created.ledger_id)
    attempt("whoami-soap", lambda: soap(client, "Execute", WHO_AM_I))


def stdin_ended() -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], 0.02)
    return bool(readable) and not os.read(sys.stdin.fileno(), 4096)


def main() -> None:
    with d365_failover.Client(os.environ["D365_URL"], **settings()) as client:

        @client.on_endpoint_switch_required
        @client.on_endpoint_switched
        def tell(event: d365_failover.EndpointSwitchEvent) -> None:
            say("event", event.name, event.previous_url, event.new_url, event.reason)

        @client.on_write_in_doubt
        def tell_doubt(event: d365_failover.WriteInDoubtEvent) -> None:
            say("event", event.name, event.ledger_id, event.method, event.url, event.reason)

        @client.on_data_loss_suspected
        def tell_loss(event: d365_failover.DataLossSuspectedEvent) -> None:
            say("event", event.name, event.in_doubt, event.acknowledged)

        say("ready")
        n = 1
        work(client, n)
        while not stdin_ended():
            n += 1
            work(client, n)
        # The writes to verify: in doubt, or acknowledged by the primary shortly before it was left. What is missing may
        # still come over, and of what no row can tell a person must look: these are left.
        writes = {write.id: write for write in client.ledger(suspects=True)}
        for step in client.verify_all():
            write = writes[step.id]
            say("suspect", write.id, write.effect, write.method, write.url, step.verified)
        client.settle(verify=False)
        for write in client.ledger():
            if write.id in writes:
                say("settled", write.id, write.tag, write.resolution or "left")
    say("done", calls)


if __name__ == "__main__":
    main()
