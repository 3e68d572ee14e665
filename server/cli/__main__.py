"""`python -m server.cli` is `earlysign`."""

from server.cli import main

main()
