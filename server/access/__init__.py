"""Who may come in, and what they may do.

policy.py      roles, permissions, boroughs, command units (TOML)
identity.py    Person, DeviceIdentity: what a handler is told about who asks
people.py      accounts            passwords.py  argon2id
sessions.py    signing in and out  throttle.py   wrong attempts, counted in the database
devices.py     codes, enrolment, tokens, revocation
assertions.py  what phones sign    crypto.py     tokens, hashes, codes, keys
restricted.py  the rule on restricted records
errors.py      every refusal
"""
