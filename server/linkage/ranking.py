"""Which child a person who searches may mean: every child at hand, by the same model as for notes, the likeliest first.

Nothing is decided here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter

from server.linkage.decide import Candidate, Decider, Item
from server.linkage.model import Model
from server.linkage.standardise import Record


class Ranker(Decider):
    """A model ready to rank. No child is too unlikely for somebody who asks, however little was asked."""

    def __init__(self, model: Model) -> None:
        super().__init__(model, negligible_bits=math.inf)

    def rank(
        self,
        readings: Callable[[Record], Sequence[Record]],
        known: Iterable[tuple[int, Record, bool]],
        *,
        behind_bits: float,
        always: Collection[int] = (),
    ) -> list[Candidate]:
        """Every child by the reading that fits it best, the likeliest first. `readings`: those to compare a child by.

        Those that are `behind_bits` behind the best are left out, unless in `always`. `probability` is shared among
        all of them and "a child not known yet".
        """
        score = self._scorer.score
        scored: list[Item] = []
        for child_id, child, restricted in known:
            results = [result for reading in readings(child) if (result := score(reading, child)) is not None]
            if results:
                best = max(results, key=itemgetter(0))
                scored.append((best[0], -child_id, restricted, best))
        if not scored:
            return []
        scored.sort(key=itemgetter(0, 1), reverse=True)
        shares, least = self._shares(scored), scored[0][0] - behind_bits
        return [
            self._candidate(item, shares[at])
            for at, item in enumerate(scored)
            if item[0] >= least or -item[1] in always
        ]
