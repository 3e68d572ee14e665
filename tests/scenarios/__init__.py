"""Whole days on data that nobody here made, through the real server over HTTP."""
