"""Microsoft's Dataverse client over the adapter for requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import d365_failover
import d365_failover.dataverse
import d365_failover.requests
import pytest
import requests
from azure.core.credentials import AccessToken
from peer import found
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.upsert import UpsertItem
from twin import ACCOUNTS, Organization


class Credential:
    """As azure-identity's."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        [scope] = scopes
        return AccessToken("twin-token-for-" + scope.partition("://")[2].removesuffix("/.default"), 2**40)


@pytest.fixture
def replicated(organization: Callable[..., Organization]) -> Organization:
    org = organization(tokens="check")
    org._twin.ask("POST", "/replication", {"org": org.name, "mode": "manual"})
    return org


def cross(org: Organization) -> None:
    """Lets rows come to the alternate."""
    org._twin.ask("POST", "/replicate", {"org": org.name})


def knowing(client: Any) -> Any:
    """Without metadata, which the twin has none of."""
    odata: Any = client._get_odata()
    odata._logical_to_entityset_cache["account"] = "accounts"
    odata._logical_primaryid_cache["account"] = "accountid"
    odata._get_entity_by_table_schema_name = lambda *_, **__: None
    odata._convert_labels_to_ints = lambda _, record: record
    return client


@pytest.fixture
def ours(replicated: Organization) -> Iterator[DataverseClient]:
    settings: Any = {**replicated.settings, "preset": "safe"}
    with d365_failover.dataverse.client(replicated.primary_url, Credential(), **settings) as client:
        yield knowing(client)


def fail(org: Organization) -> None:
    org.fault("primary", "datacenter_not_available")


def test_microsofts_client_makes_one_row_of_one_create(
    replicated: Organization, ours: DataverseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the service commits and the answer is lost: five with its own transport."""
    org = replicated
    org.fault("primary", "commit_then_close", path=ACCOUNTS)
    host, port = (
        org.primary_url.partition("://")[2],
        int(org.connect_to[f"{org.primary_url[8:]}:443"].rpartition(":")[2]),
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", org.settings["ca_bundle"])
    monkeypatch.setattr("time.sleep", lambda _: None)
    with (
        found(monkeypatch, {(host, 443): port}),
        DataverseClient(org.primary_url, Credential()) as stock,
        pytest.raises(requests.RequestException),
    ):
        knowing(stock).records.create("account", {"numberofemployees": 7})
    assert len(org.rows()) == 5
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(d365_failover.WriteInDoubtError) as raised:
        ours.records.create("account", {"numberofemployees": 7})
    assert raised.value.effect == "unknown"
    [entry] = d365_failover.dataverse.client_of(ours).ledger(suspects=True)
    assert entry.id == raised.value.ledger_id
    assert len(org.rows()) == 6


def test_microsofts_client_goes_on_at_the_alternate(replicated: Organization, ours: DataverseClient) -> None:
    row = ours.records.create("account", {"name": "a", "numberofemployees": 7})
    cross(replicated)
    fail(replicated)
    ours.records.update("account", row, {"numberofemployees": 8})
    found = ours.records.retrieve("account", row)
    assert found is not None
    assert (found["name"], found["numberofemployees"]) == ("a", 8)
    ours.records.delete("account", row)
    client = d365_failover.dataverse.client_of(ours)
    assert (client.active_url, client.epoch) == (replicated.alternate_url, 1)
    tokens = {(entry["side"], entry["token_for"]) for entry in replicated.journal() if entry["token_for"] is not None}
    assert tokens == {("primary", replicated.primary_url[8:]), ("alternate", replicated.alternate_url[8:])}


def test_pages_go_on_at_the_alternate(replicated: Organization, ours: DataverseClient) -> None:
    for number in range(10):
        ours.records.create("account", {"numberofemployees": number})
    cross(replicated)
    pages = ours.records.list_pages("account", select=["numberofemployees"], page_size=3)
    seen = [row["numberofemployees"] for row in next(pages)]
    fail(replicated)
    for page in pages:
        seen += [row["numberofemployees"] for row in page]
    assert sorted(seen) == list(range(10))


def test_a_batch_goes_to_the_alternate(replicated: Organization, ours: DataverseClient) -> None:
    """Its parts name the primary, whatever endpoint it is sent to."""
    replicated.fault("primary", "refuse")
    batch = ours.batch.new()
    batch.records.create("account", {"name": "a"})
    batch.records.create("account", {"name": "b"})
    result = batch.execute()
    assert [part.is_success for part in result.responses] == [True, True]
    assert [(row["primary"], row["alternate"]) for row in replicated.rows()] == [(False, True)] * 2


@pytest.mark.parametrize(("status", "raises"), [(500, True), (504, True), (403, False), (412, False)])
def test_a_status_that_leaves_a_create_in_doubt_says_so(
    replicated: Organization, ours: DataverseClient, status: int, raises: bool
) -> None:
    replicated.fault("primary", "status", status=status, method="POST")
    with pytest.raises(d365_failover.WriteInDoubtError if raises else HttpError) as raised:
        ours.records.create("account", {"name": "a"})
    assert isinstance(raised.value, HttpError) is not raises


def test_a_batch_of_which_nobody_knows_what_was_done_is_in_doubt(
    replicated: Organization, ours: DataverseClient
) -> None:
    fail(replicated)
    batch = ours.batch.new()
    batch.records.create("account", {"name": "a"})
    with pytest.raises(d365_failover.WriteInDoubtError):
        batch.execute()


def test_an_upsert_goes_to_the_alternate(replicated: Organization, ours: DataverseClient) -> None:
    fail(replicated)
    items: list[UpsertItem | dict[str, Any]] = [UpsertItem(alternate_key={"accountnumber": "17"}, record={"name": "a"})]
    ours.records.upsert("account", items)
    ours.records.upsert("account", items)
    assert [(row["primary"], row["alternate"]) for row in replicated.rows()] == [(False, True)]


class AsyncCredential:
    async def get_token(self, *scopes: str, **more: Any) -> AccessToken:
        return Credential().get_token(*scopes, **more)

    async def close(self) -> None: ...

    async def __aenter__(self) -> AsyncCredential:
        return self

    async def __aexit__(self, *_: object) -> None: ...


def test_the_asynchronous_client_goes_on_at_the_alternate(replicated: Organization) -> None:
    async def none(*_: object, **__: object) -> None: ...

    async def same(_: object, record: object) -> object:
        return record

    async def main() -> None:
        settings: Any = {**replicated.settings, "preset": "safe"}
        async with d365_failover.dataverse.async_client(
            replicated.primary_url, AsyncCredential(), **settings
        ) as client:
            odata: Any = knowing(client)._get_odata()
            odata._get_entity_by_table_schema_name, odata._convert_labels_to_ints = none, same
            row = await client.records.create("account", {"name": "a", "numberofemployees": 7})
            cross(replicated)
            fail(replicated)
            await client.records.update("account", row, {"numberofemployees": 8})
            found = await client.records.retrieve("account", row)
            assert found is not None
            assert (found["name"], found["numberofemployees"]) == ("a", 8)
            await client.records.delete("account", row)
            item = UpsertItem(alternate_key={"accountnumber": "17"}, record={"name": "a"})
            for _ in range(2):
                await client.records.upsert("account", [item])
            batch = client.batch.new()
            batch.records.create("account", {"name": "b"})
            assert [part.is_success for part in (await batch.execute()).responses] == [True]

    asyncio.run(main())
    assert [row["primary"] for row in replicated.rows() if row["alternate"]] == [False, False]


def test_an_upload_in_chunks_says_why_it_does_not_cross(
    replicated: Organization, ours: DataverseClient, tmp_path: Path
) -> None:
    """It is begun with a token that one datacenter has; begun anew it is done."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"x" * (5 << 20))
    row = ours.records.create("account", {"name": "a"})
    cross(replicated)
    # The PATCH that begins the upload passes, and no chunk.
    replicated.fault("primary", "datacenter_not_available", method="PATCH", skip=1)
    with pytest.raises(HttpError) as raised:
        ours.files.upload("account", row, "document", str(path), mode="chunk", if_none_match=False)
    assert raised.value.status_code == 400
    assert "token is none of this server's" in str(raised.value)
    ours.files.upload("account", row, "document", str(path), mode="chunk", if_none_match=False)
    client = d365_failover.dataverse.client_of(ours)
    assert len(client.get(f"{ACCOUNTS}({row})/document/$value").content) == 5 << 20


def test_client_of_takes_ours_alone() -> None:
    with pytest.raises(TypeError, match="is closed, or not"):
        d365_failover.dataverse.client_of(DataverseClient("https://contoso.crm.dynamics.com", Credential()))


def test_the_asynchronous_client_is_there_as_well() -> None:
    from d365_failover._dataverse_async import async_client

    assert d365_failover.dataverse.async_client is async_client
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        d365_failover.dataverse.other  # noqa: B018
