"""`python -m client_stub.cli`."""

from client_stub.cli import main

main()
