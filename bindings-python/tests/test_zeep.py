"""zeep over the adapter for requests: the service's own WSDL, and its calls across a switch."""

# mypy: no-disallow-untyped-calls
from __future__ import annotations

import uuid
from typing import Any

import d365_failover
import d365_failover.requests
import pytest
import zeep
from twin import Organization
from zeep import xsd

CONTRACTS = "{http://schemas.microsoft.com/xrm/2011/Contracts}"
PAIRS = "{http://schemas.datacontract.org/2004/07/System.Collections.Generic}"


class Service:
    """The organization service, as an application has it from zeep."""

    def __init__(self, org: Organization, session: d365_failover.requests.Session) -> None:
        wsdl = f"{org.primary_url}/XRMServices/2011/Organization.svc?wsdl"
        self._client = zeep.Client(wsdl, transport=zeep.Transport(session=session))

    def _entity(self, row: str | None, **attributes: Any) -> Any:
        make = self._client.get_type
        pairs = [
            make(f"{PAIRS}KeyValuePairOfstringanyType")(key=name, value=xsd.AnyObject(xsd.String(), value))
            for name, value in attributes.items()
        ]
        collection = make(f"{CONTRACTS}AttributeCollection")(KeyValuePairOfstringanyType=pairs)
        # An id of zeros is none; the library puts the one there that it chooses.
        return make(f"{CONTRACTS}Entity")(Attributes=collection, Id=row or str(uuid.UUID(int=0)), LogicalName="account")

    def create(self, **attributes: Any) -> str:
        return str(self._client.service.Create(entity=self._entity(None, **attributes)))

    def update(self, row: str, **attributes: Any) -> None:
        self._client.service.Update(entity=self._entity(row, **attributes))

    def name(self, row: str) -> Any:
        columns = self._client.get_type(f"{CONTRACTS}ColumnSet")(AllColumns=True)
        found = self._client.service.Retrieve(entityName="account", id=row, columnSet=columns)
        pairs = {pair.key: pair.value for pair in found.Attributes.KeyValuePairOfstringanyType}
        return pairs["name"]

    def delete(self, row: str) -> None:
        self._client.service.Delete(entityName="account", id=row)


def session(org: Organization) -> d365_failover.requests.Session:
    settings: Any = {**org.settings, "preset": "safe"}
    return d365_failover.requests.Session(org.primary_url, **settings)


def test_calls_go_on_at_the_alternate(org: Organization) -> None:
    org._twin.ask("POST", "/replication", {"org": org.name, "mode": "manual"})
    with session(org) as ours:
        service = Service(org, ours)
        row, other = service.create(name="a"), service.create(name="b")
        service.update(row, name="c")
        assert service.name(row) == "c"
        org._twin.ask("POST", "/replicate", {"org": org.name})
        org.fault("primary", "datacenter_not_available")
        assert service.name(row) == "c"
        service.update(row, name="d")
        service.delete(other)
        created = service.create(name="e")
        assert (service.name(row), service.name(created)) == ("d", "e")
        assert ours.client.active_url == org.alternate_url
        assert ours.client.epoch == 1


def test_a_create_whose_answer_is_lost_makes_one_row(org: Organization) -> None:
    org.fault("primary", "commit_then_close", method="POST")
    with session(org) as ours:
        service = Service(org, ours)
        with pytest.raises(d365_failover.WriteInDoubtError):
            service.create(name="a")
    assert len(org.rows()) == 1


def test_a_guarded_create_is_said_by_a_header(org: Organization) -> None:
    with session(org) as ours:
        service = Service(org, ours)
        org.fault("primary", "commit_then_close", method="POST", times=1)
        ours.headers["D365-Failover-Guarded-Create"] = "on"
        service.create(name="a")
    assert len(org.rows()) == 1
