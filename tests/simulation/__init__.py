"""Phones and a server over a network that does what a seed says: the sync protocol, and its invariants.

    world.py    phones, network, server, time; each event is one method
    server.py   the real doors, intake and records on a real store, without HTTP
    phone.py    the real phone (`client_stub`) over a store in memory, stopped at any boundary
    beginnings.py  who and what there is when a world begins
    desk.py     what people at desks do meanwhile
    lending.py  every page, every lease and the ledger of holdings, checked as they happen
    oracle.py   what must hold: short, and of no code of the product; lent.py the same of what phones are lent
    scripts.py  short stories, told for every boundary at which a phone can die
    running.py  events drawn from a seed; a history that can be read; `python -m tests.simulation`
    mutants.py  the product broken on purpose, to prove that the checks see it

One thread, one event at a time: a phone's sync runs in a greenlet of its own and stops wherever it waits for the
network. Everything that chance decides comes from the seed.
"""
