"""The doors: thin Litestar handlers, one file a door, and what they share.

| file | what |
| --- | --- |
| `auth.py` | who may enter; guards and dependencies |
| `services.py` | what a handler may use |
| `problems.py` | every problem, and the one place that turns failures into answers |
| `body.py`, `media.py` | bounded, compressed bodies; the types a door reads |
| `csrf.py` | forged requests |
| `observe.py`, `metrics.py` | request numbers, security headers, log, metrics |
| `docs.py` | OpenAPI and its pages |
| `devices.py`, `sync.py` | phones: enrol and token; hello, push and pull |
| `sign_in.py`, `health.py` | people; is the server well |
"""
