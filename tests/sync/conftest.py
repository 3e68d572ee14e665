"""Hypothesis without a deadline: a busy machine must not turn a property into a matter of luck."""

from hypothesis import settings

settings.register_profile("sync", deadline=None, print_blob=True)
settings.load_profile("sync")
