"""Sends what is in the album, after the notes: from where the server has it, until the server has signed for it.

The protocol is tus 1.0. It is spoken here and not by a library, because it must go over this phone's one line (its
certificates, its rehearsals of a bad line) and be remembered in its encrypted store.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from client_stub.album import Album, Picture
from client_stub.conversation import Conversation, Report, Stopped
from client_stub.device import Device
from client_stub.transport import Refused, Revoked, Transport
from sync.receipts import Receipt

BEGINNINGS_MAX = 4
"""How often one upload is begun anew in one sync: more is a server that forgets, which a later sync may not meet."""
AGAIN, MOVED = frozenset({404, 410, 460}), 409
"""The server has forgotten the upload, or its bytes were damaged on their way: begun anew."""
REFUSED = frozenset({413, 415})


class Uploading:
    """One sync's uploads."""

    def __init__(
        self,
        device: Device,
        transport: Transport,
        talk: Conversation,
        report: Report,
        open_receipt: Callable[[str], Receipt | None],
    ) -> None:
        self._album = Album(device.store)
        self._around = device.surroundings
        self._transport = transport
        self._talk = talk
        self._report = report
        self._open_receipt = open_receipt

    def run(self, progress: Callable[[int, int], None]) -> None:
        """Send everything that waits. Raises Stopped and TransportError, and nothing is lost then."""
        waiting = self._album.to_send()
        for done, picture in enumerate(waiting):
            progress(done, len(waiting))
            self._one(picture)
        progress(len(waiting), len(waiting))

    def _one(self, picture: Picture) -> None:
        address, offset = picture.address, -1
        beginnings = 0
        while offset < picture.size:
            try:
                if address is None:
                    beginnings += 1
                    if beginnings > BEGINNINGS_MAX:
                        # It waits, and holds up no other.
                        self._report.problems.append(
                            "A file did not arrive whole and stays on this device. Sync again later; if it stays so, "
                            "tell the administrator."
                        )
                        return
                    address = self._talk.persistently(
                        partial(self._transport.begin_upload, size=picture.size, sha256=picture.digest)
                    )
                    offset = 0
                    self._remember(picture, address, 0)
                elif offset < 0:
                    offset = self._talk.persistently(partial(self._transport.upload_offset, address=address))
                else:
                    offset = self._talk.persistently(partial(self._send, picture, address, offset))
                    self._remember(picture, address, offset)
            except Revoked:
                raise
            except Refused as refused:
                if refused.status in AGAIN:
                    address, offset = None, -1
                elif refused.status == MOVED:
                    offset = -1
                elif refused.status in REFUSED:
                    self._album.refused(picture.digest)
                    self._report.problems.append(
                        f"The server does not take one attachment. {refused} {refused.hint}"
                    )
                    return
                else:
                    raise
        self._sign(picture)

    def _send(self, picture: Picture, address: str, offset: int, token: str) -> int:
        data = self._album.bytes_from(picture.digest, offset)
        return self._transport.send_bytes(token, address=address, offset=offset, data=data)

    def _remember(self, picture: Picture, address: str, offset: int) -> None:
        self._album.at(picture.digest, address, offset)
        self._around.reached("upload.stored")

    def _sign(self, picture: Picture) -> None:
        """Ask for the receipt, without which the bytes may not go."""
        text = self._talk.persistently(partial(self._transport.attachment_receipt, sha256=picture.digest))
        self._around.reached("upload.answered")
        receipt = self._open_receipt(text)
        if receipt is None or picture.digest not in {digest for _, _, digest in receipt.ops}:
            self._album.at(picture.digest, None, 0)
            raise Stopped("The server did not sign for an attachment. It stays on this device.")
        self._album.receipted(picture.digest, text, receipt.received_at, self._around.now_ms())
        self._report.attachments += 1
