"""The server beside stores that others use for the same: see `python -m tests.bench.peers --help`."""
