"""The language that phone and server both speak. Values in, values out: no I/O, no clock, no randomness.

note, vocabulary      what an officer writes
media                 which photographs and recordings travel
operations            how it travels: one frozen line, known by (device, epoch, seq)
upcasting             bodies of older schemas, brought up to the newest
envelope              hello, push and pull as types
outbox                the phone's side as a state machine: what to send, what an answer changes
inbox                 the server's side: what a line is, and what it means beside what came before
receipts              the server's signature over what it has taken custody of
cursor                a place in the server's order of changes
holdings              what a phone has pulled, and how it is kept true
timing                what time it is, on a device whose clock anybody can set
limits                a named limit on everything, with its reason
"""
