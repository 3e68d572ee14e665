"""How large a store may grow its queues and pools, each limit with its reason."""

from __future__ import annotations

import msgspec

MEMORY = ":memory:"
"""The path of a database that lives in memory and dies with the store; for tests and simulation."""


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and waiting times of both engines. Times are in seconds."""

    queue_jobs_max: int = 512
    """Pieces of work that may wait for a thread. At 1,500 notes a second in batches of 50 this is
    some 15 seconds of work: whoever waits longer is better told to come back later."""

    group_jobs_max: int = 64
    """Pieces of work that share one commit on SQLite. One fsync costs as much as a few dozen
    statements; beyond 64 it is already spread thin, and the first of the group waits for the last."""

    group_seconds_max: float = 0.25
    """A group takes in no further work after this time, so that large batches do not make the first
    caller wait for dozens of others."""

    follow_seconds_max: float = 0.05
    """How long a group waits for work that was announced as its next; it is worked on meanwhile."""

    readers: int = 4
    """Read connections of SQLite, each with a thread. Reads are short; a few more than the cores
    of a small server keep one long search from holding up the rest."""

    pool_connections_max: int = 8
    """Connections (and threads) to PostgreSQL. More than the processors of the database server
    make it slower; each also costs it some megabytes."""

    busy_seconds_max: float = 5.0
    """How long to wait for another process's lock, or for a free connection, before saying
    "busy". Shorter than the 10 seconds after which a phone gives up on an answer."""

    statement_seconds_max: float = 30.0
    """A read on SQLite, or any one statement on PostgreSQL, is stopped after this time: nobody
    waits longer for a page, and a long read keeps the write-ahead log from shrinking."""

    lock_seconds_max: float = 10.0
    """How long a statement on PostgreSQL waits for a lock held by another transaction."""

    retries_max: int = 5
    """How often PostgreSQL work is run again after a deadlock. Each round lets at least one
    transaction through, so five rounds settle any realistic knot."""

    statements_cached: int = 1_024
    """Prepared statements kept by each connection: all the SQL of the server and its variants."""

    cache_kibibytes: int = 256 * 1_024
    """Page cache of SQLite's writer, which looks for every child: 100,000 children and a month of notes
    fit in it. It is taken as it is needed."""

    reader_cache_kibibytes: int = 16 * 1_024
    """Page cache of each read connection: a page of somebody's timeline."""

    glance_steps_max: int = 2_000
    """Steps of SQLite's machine after which it is asked whether a glance goes on too long, for an event loop
    stands still meanwhile: some ten microseconds, and what finding a few dozen rows by their keys takes."""

    checkpoint_pages: int = 32_768
    """Pages of write-ahead log (128 MiB) before SQLite copies them into the database file: a page that
    many pushes touch is copied once, and recovery still takes about a second."""

    backlog_max: int = 256
    """Notifications that wait for one slow subscriber before it is told that it missed some."""


DEFAULTS = StorageSettings()
