"""Creates an account and reads it back; goes on at the alternate datacenter if it has to."""

import os
import sys
from typing import Any

import d365_failover

if "D365_URL" not in os.environ:
    sys.exit("set D365_URL to the organization's URL: https://contoso.crm.dynamics.com")
settings: dict[str, Any] = {"ca_bundle": os.environ.get("D365_CA_BUNDLE"), "preset": os.environ.get("D365_PRESET")}
if "D365_CONNECT_TO" in os.environ:
    settings["connect_to"] = os.environ["D365_CONNECT_TO"]
if "D365_TOKEN_PREFIX" in os.environ:
    settings["token_provider"] = lambda url: os.environ["D365_TOKEN_PREFIX"] + url.partition("://")[2]

with d365_failover.Client(os.environ["D365_URL"], **settings) as client:

    @client.on_endpoint_switch_required
    def required(event: d365_failover.EndpointSwitchRequiredEvent) -> None:
        print(f"{event.previous_url} fails ({event.reason}), {event.new_url} is next")

    @client.on_endpoint_switched
    def switched(event: d365_failover.EndpointSwitchEvent) -> None:
        print(f"calls go to {event.new_url} now")

    created = client.post("/api/data/v9.2/accounts", json={"name": "Contoso Ltd."})
    if created.status_code == 401:
        sys.exit(
            "the service wants a token (401): give the client a token_provider, as in docs/guide/tokens.md, or, "
            "for the twin that checks them, set D365_TOKEN_PREFIX"
        )
    account = client.get(created.raise_for_status().headers["OData-EntityId"]).raise_for_status().json()
    print(account["name"], "is at", client.active_url)
