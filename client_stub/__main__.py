"""`python -m client_stub` is the command `earlysign-device`."""

from client_stub.cli import main

main()
