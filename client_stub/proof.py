"""What this device can prove without the server: that it signed for each op and file which it is said to have."""

from __future__ import annotations

import msgspec

from client_stub.album import Album, AttachmentState
from client_stub.keys import ServerKey, receipt_verifier
from client_stub.store import Store
from sync import receipts
from sync.outbox import State
from sync.receipts import ReceiptError


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """How the receipts of a device stand. `unproven` are (epoch, seq) that count as received and whose stored
    receipt is missing, does not open with the key, or does not name the op's digest; `files_unproven` the digests of
    photographs and recordings of which that is so."""

    receipts: int
    proven: int
    waiting: int
    unproven: tuple[tuple[str, int], ...]
    files_proven: int
    files_unproven: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether the server signed for all that it is said to have."""
        return not self.unproven and not self.files_unproven


def check(store: Store, key: ServerKey, device_id: str) -> Proof:
    """Open every stored receipt with the server's public key. Raises KeyProblem where that is no key."""
    verify = receipt_verifier(key)
    signed: dict[int, set[str]] = {}
    texts = store.receipts()
    for number, text in texts.items():
        try:
            receipt = receipts.open_sealed(text, verify)
        except ReceiptError:
            continue
        if receipt.device == device_id and receipt.key_id == key.kid:
            signed[number] = {digest for _, _, digest in receipt.ops}
    covered = store.receipt_numbers()
    counted = [entry for entry in store.all_entries() if entry.state is State.RECEIPTED]
    unproven = tuple(
        (entry.epoch, entry.seq)
        for entry in counted
        if entry.digest not in signed.get(covered.get((entry.epoch, entry.seq), 0), ())
    )
    waiting = len(store.all_entries()) - len(counted)
    files = [one.digest for one in Album(store).all() if one.state is AttachmentState.RECEIPTED]
    files_unproven = tuple(
        digest for digest in files if not any(digest in named for named in signed.values())
    )
    return Proof(
        receipts=len(texts),
        proven=len(counted) - len(unproven),
        waiting=waiting,
        unproven=unproven,
        files_proven=len(files) - len(files_unproven),
        files_unproven=files_unproven,
    )
