"""A device is wiped by hand: everything on it goes, and the server is told, so that nobody is thought to be on it."""

from __future__ import annotations

import contextlib

import msgspec

from client_stub.conversation import Conversation, Patience, Report, condition_of
from client_stub.device import Device
from client_stub.transport import Transport, TransportError
from sync.envelope import Wipe


def wipe(device: Device, transport: Transport) -> bool:
    """Destroy everything on this device; whether the server has heard of it, which it cannot without signal.

    Raises DeviceError while something is unsent (invariant 10).
    """
    # What another command of this device writes from here on is refused, not destroyed.
    with device.store.transaction():
        device.require_all_sent()
        device.store.put("closed", "yes")
    talk = Conversation(device, transport, Patience(), Report())
    done = msgspec.structs.replace(condition_of(device, Wipe.DONE), holds=0)
    with contextlib.suppress(TransportError):
        # While there is still a key: afterwards nothing is left from which to make a token.
        talk.once(lambda token: transport.condition(token, condition_of(device)))
    device.wipe()
    try:
        talk.last_word(lambda token: transport.condition(token, done))
    except TransportError:
        return False
    return True
