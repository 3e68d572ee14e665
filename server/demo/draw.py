"""Drawing from weighted lists, so that the same seed gives the same draw in every process and Python version.

Only `Random.random()` is used anywhere in `server.demo`: it is the one method whose sequence Python promises
to keep. Weights are sums of plain fractions, because powers and logarithms differ between C libraries.
"""

import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import Any, Generic, TypeVar

T = TypeVar("T")

RANK_OFFSET = 6
"""Weight of the n-th commonest word is 1 / (n + this): Zipf's law, with a head that is not too tall."""


class Draw(Generic[T]):
    """Things with weights. `pick` takes about 0.2 microseconds, however many there are."""

    __slots__ = ("_bounds", "things")

    def __init__(self, weighted: Iterable[tuple[T, float]]) -> None:
        pairs = list(weighted)
        if not pairs:
            raise ValueError("nothing to draw from: give at least one thing with a weight")
        self.things: list[T] = [thing for thing, _ in pairs]
        sums = list(accumulate(weight for _, weight in pairs))
        self._bounds = [part / sums[-1] for part in sums[:-1]]

    def pick(self, rng: Random) -> T:
        return self.things[bisect_right(self._bounds, rng.random())]


def pick(things: Sequence[T], rng: Random) -> T:
    """One of `things`, all alike."""
    return things[int(rng.random() * len(things))]


def chance(rng: Random, probability: float) -> bool:
    return rng.random() < probability


def zipf(words: Sequence[T]) -> list[tuple[T, float]]:
    """`words` from most to least common, with their weights."""
    return [(word, 1 / (rank + RANK_OFFSET)) for rank, word in enumerate(words)]


def composed(front: Sequence[str], back: Sequence[str]) -> list[tuple[str, float]]:
    """Every front with every back; the pairs of common halves are the commonest."""
    return [
        (first + second, 1 / ((i + RANK_OFFSET) * (j + RANK_OFFSET)))
        for i, first in enumerate(front)
        for j, second in enumerate(back)
    ]


def mixture(common: list[tuple[str, float]], rare: list[tuple[str, float]], share: float) -> Draw[str]:
    """Both lists in one, `rare` having `share` of the weight; a word in both keeps its first place."""
    weights: dict[str, float] = {}
    for words, part in ((common, 1 - share if rare else 1.0), (rare, share)):
        total = sum(weight for _, weight in words) or 1.0
        for word, weight in words:
            weights.setdefault(word, part * weight / total)
    return Draw(weights.items())


def words(text: str) -> list[str]:
    """The words of a text, each once, in order; an underscore stands for a space inside one."""
    return list(dict.fromkeys(word.replace("_", " ") for word in text.split()))


@cache
def data(name: str) -> dict[str, Any]:
    """A TOML file from `server/demo/data`, read once."""
    return tomllib.loads(files("server.demo").joinpath("data", name).read_text(encoding="utf-8"))
