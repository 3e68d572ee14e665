"""The doors: thin Litestar handlers, one file a door, and what they share.

auth.py      who may enter; guards and dependencies    services.py  what a handler may use
problems.py  every problem                             body.py      reading a bounded, compressed body
csrf.py      forged requests                           observe.py   request numbers, headers, log, metrics
docs.py      OpenAPI and its pages
devices.py   enrol, token      sign_in.py  people      health.py    live, ready, metrics
"""
