"""A phone of its own process that ends itself with SIGKILL at a named point. Run by `test_crash.py`.

Arguments: store folder, server address, point (or "-" for none), what to do (write or sync), and a text.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from client_stub.conversation import Patience
from client_stub.device import Device, Surroundings
from client_stub.store import Store
from client_stub.syncing import Sync
from client_stub.transport import Transport
from tests.client_stub.kit import CODE, a_note


def main(folder: str, address: str, point: str, what: str, text: str) -> None:
    def reached(here: str) -> None:
        if here == point:
            os.kill(os.getpid(), signal.SIGKILL)

    store = Store.create(Path(folder), passphrase=None, accept_unencrypted=True)
    device = Device(store, Surroundings(reached=reached))
    with Transport(address) as transport:
        if what == "enrol":
            device.enrol(transport, code=CODE, name="crash")
        elif what == "write":
            print(device.write(a_note(text)), flush=True)
        else:
            report = Sync(device, transport, patience=Patience(base_ms=1, cap_ms=5)).run()
            print("all sent" if report.all_sent else report.problems, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
