"""What a note means: incidents, rules, grades, clocks and ownership. Pure functions over values.

No storage, no clock, no randomness: facts, the rule pack and `now` are passed in. Start at `assess`.
"""
