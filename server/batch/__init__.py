"""Whole registries at once, with Splink: training a model, and finding children who stand twice.

The only room that knows Splink and its engines (extras `train` and `spark`), and it imports them when they are
needed. The weights, the levels and what is believed of an estimate are `server/linkage`'s.
"""
