"""How a client speaks to each kind of server: send a batch, ask for a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from sync.envelope import CUSTODY, PullAnswer, PushAnswer
from tests.bench.peers.wire import Answer, Wire, decoded, encode
from tests.bench.setting import Phone

PAGE = 500


class Batch(msgspec.Struct, frozen=True):
    """Notes that one client sends at once: as documents {id, body}, and as lines of our protocol, which a phone
    freezes when a note is written."""

    client: int
    documents: Sequence[dict[str, Any]]
    lines: bytes


class Page(msgspec.Struct, frozen=True):
    """A page of what a client may pull."""

    ids: list[str]
    cursor: Any
    more: bool


class Dialect(Protocol):
    """How clients speak to one kind of server."""

    async def push(self, wire: Wire, batch: Batch) -> set[str] | float:
        """Send a batch: the ids that the server says it has. A number: it is busy, and asks to be left alone for so
        many seconds."""
        ...

    async def page(self, wire: Wire, client: int, cursor: Any) -> Page:
        """The page after `cursor` (None: from the start) of what this client may pull."""
        ...


def _wait(busy: Answer) -> float:
    """What a server that is busy asks for; a fifth of a second where it does not say."""
    return float(busy.headers.get("retry-after", 0.2))


class Ours:
    """Push and pull of SYNC's protocol, with a phone for each client."""

    def __init__(self, phones: Sequence[Phone]) -> None:
        self._headers = [{"authorization": f"Bearer {phone.token}"} for phone in phones]
        self._push = msgspec.json.Decoder(PushAnswer)
        self._pull = msgspec.json.Decoder(PullAnswer)

    async def push(self, wire: Wire, batch: Batch) -> set[str] | float:
        headers = {**self._headers[batch.client], "content-type": "application/x-ndjson"}
        response = await wire.post("/api/sync/push", batch.lines, headers)
        if response.status in (429, 503):
            return _wait(response)
        answer = self._push.decode(response.ok())
        ids = [document["id"] for document in batch.documents]
        return {one for one, verdict in zip(ids, answer.verdicts, strict=True) if verdict.v in CUSTODY}

    async def page(self, wire: Wire, client: int, cursor: Any) -> Page:
        asked = encode({"cursor": cursor, "limit": PAGE})
        page = self._pull.decode((await wire.post("/api/sync/pull", asked, self._headers[client])).ok())
        return Page([change.id for change in page.changes if change.kind == "note"], page.cursor, page.more)


class Pouch:
    """CouchDB's way: `_bulk_docs` and `_changes`."""

    async def push(self, wire: Wire, batch: Batch) -> set[str] | float:
        documents = [{"_id": document["id"], "body": document["body"]} for document in batch.documents]
        found = decoded(await wire.post("/concern/_bulk_docs", encode({"docs": documents})))
        # A conflict says that it has the document already, which is what we sent.
        return {one["id"] for one in found if one.get("ok") or one.get("name") == "conflict"}

    async def page(self, wire: Wire, client: int, cursor: Any) -> Page:
        asked = {"since": cursor or 0, "limit": PAGE, "include_docs": "true"}
        found = decoded(await wire.get("/concern/_changes", asked))
        ids = [one["id"] for one in found["results"]]
        return Page(ids, found["last_seq"], len(ids) == PAGE)


class Rx:
    """RxDB's replication over HTTP."""

    async def push(self, wire: Wire, batch: Batch) -> set[str] | float:
        rows = [{"newDocumentState": {**document, "_deleted": False}} for document in batch.documents]
        decoded(await wire.post("/concern/0/push", encode(rows)))  # the conflicts: what it has already
        return {document["id"] for document in batch.documents}

    async def page(self, wire: Wire, client: int, cursor: Any) -> Page:
        since = cursor or {"id": "", "lwt": 0}
        found = decoded(await wire.get("/concern/0/pull", {**since, "limit": PAGE}))
        ids = [one["id"] for one in found["documents"]]
        return Page(ids, found["checkpoint"] or cursor, len(ids) == PAGE)


RECORDS = "/v1/buckets/bench/collections/concern/records"


class Kinto:
    """Kinto's batches of single requests; a page leads to the next by its address."""

    def __init__(self) -> None:
        self._by = {"authorization": "Basic " + base64.b64encode(b"bench:bench").decode()}

    async def push(self, wire: Wire, batch: Batch) -> set[str] | float:
        requests = [
            {"path": f"{RECORDS}/{document['id']}", "body": {"data": {"body": document["body"]}}}
            for document in batch.documents
        ]
        asked = encode({"defaults": {"method": "PUT"}, "requests": requests})
        response = await wire.post("/v1/batch", asked, self._by)
        if response.status == 503:
            return _wait(response)
        return {
            document["id"]
            for document, one in zip(batch.documents, decoded(response)["responses"], strict=True)
            if one["status"] in (200, 201)
        }

    async def page(self, wire: Wire, client: int, cursor: Any) -> Page:
        path = f"{RECORDS}?_limit={PAGE}&_sort=last_modified"
        if str(cursor).startswith("http"):
            following = urlsplit(cursor)
            path = f"{following.path}?{following.query}"
        elif cursor is not None:
            path += f"&_since={cursor}"
        response = await wire.get(path, headers=self._by)
        ids = [one["id"] for one in decoded(response)["data"]]
        after = response.headers.get("next-page")
        return Page(ids, after or response.headers["etag"].strip('"'), after is not None)


class Plain:
    """The doors of `fastapi_store.py`."""

    async def push(self, wire: Wire, batch: Batch) -> set[str] | float:
        decoded(await wire.post("/push", encode(batch.documents)))
        return {document["id"] for document in batch.documents}

    async def page(self, wire: Wire, client: int, cursor: Any) -> Page:
        found = decoded(await wire.get("/pull", {"after": cursor or 0, "limit": PAGE}))
        return Page([one["id"] for one in found], found[-1]["seq"] if found else cursor, len(found) == PAGE)
