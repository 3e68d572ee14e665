"""Which child is this? Link, review or new.

Probability is shared out among all candidates and "a child not known yet". Above the score stand hard rules,
since a wrong link puts a note where nobody who needs it will look: see `rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import accumulate
from math import exp2, log2

import msgspec

from server.linkage import levels as lv
from server.linkage import rules
from server.linkage.candidates import CandidateSource, find_first, find_near, find_wide
from server.linkage.model import Model
from server.linkage.score import NEGLIGIBLE_BITS, Scored, Scorer
from server.linkage.standardise import Record

LINK, REVIEW, NEW = "link", "review", "new"
CANDIDATES_SHOWN = 5
SHOWN_PROBABILITY_MIN = 0.001
REVIEW_BEST_MIN = 0.025  # a person choosing among more than forty children would be guessing
REASONS_MAX = 10_000
MORE_THAN_ONE = "more than one known child fits"
NOT_CERTAIN = "not certain enough to link without a person"
WIDER_BELOW_BITS = 2.0  # a best candidate less likely than 4 to 1: the wider keys are looked up too
SETTLED_BITS = 2.0  # beyond a link: others that come into question no more cannot take that much away


Item = tuple[float, int, bool, Scored]
"""Weight, the child's id made negative (of two that weigh the same the older comes first), restricted, parts."""

_Round = tuple[set[int], bool, "Callable[[Record, list[Item]], bool] | None"]
"""Children to compare, whether some name was too common to find others, and what then makes the rest needless."""


_NUMBERS = {c.name: {level.name: at for at, level in enumerate(c.levels)} for c in lv.COMPARISONS}


class Evidence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One comparison of a candidate: names of comparison and level, agree, near or differ, weight in bits.

    `rarity` is the part of `weight` that comes from how common this very name or school is.
    """

    comparison: str
    level: str
    outcome: str
    weight: float
    rarity: float = 0.0


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """A known child the note may be about.

    `weight` is in bits, the sum of `evidence`'s weights and `household_step` (what the chance that it is a
    brother or sister takes away). Comparisons that are not in `evidence` are missing on one side.
    """

    child_id: int
    probability: float
    weight: float
    household_step: float
    restricted: bool
    evidence: tuple[Evidence, ...]

    @property
    def levels(self) -> list[int]:
        """The level that each comparison reached, in the order of `levels.COMPARISONS`."""
        reached = {e.comparison: e.level for e in self.evidence}
        return [numbers.get(reached.get(name, ""), lv.MISSING_LEVEL) for name, numbers in _NUMBERS.items()]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided of one note. `child_id` is the best candidate, None for "new".

    `reason` is in plain words and holds nothing personal; nor does it say which fields of a restricted record
    agree. `rule` is what alone kept it from being linked, "" for a link. `start` is the weight before any
    comparison, in bits.
    """

    outcome: str
    child_id: int | None
    probability: float
    weight: float
    second_child_id: int | None
    second_probability: float
    candidates: tuple[Candidate, ...]
    compared: int
    reason: str
    model_version: str
    rule: str = ""
    start: float = 0.0


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """Two records of one registry that may be one child. `weight` is in bits; `reason` says why a person must
    look closer, where a rule says so. `household_step`, `evidence` and `start` are those of a `Candidate` and its
    `Decision`. Nothing is ever merged on it."""

    probability: float
    weight: float
    could_be_siblings: bool
    reason: str
    household_step: float
    evidence: tuple[Evidence, ...]
    start: float

    def decision(self, child_id: int, model_version: str) -> Decision:
        """The same with the second record, by its number, as the one candidate: what a person is shown."""
        candidate = Candidate(
            child_id, self.probability, self.weight, self.household_step, False, self.evidence
        )
        return Decision(
            outcome=REVIEW,
            child_id=child_id,
            probability=self.probability,
            weight=self.weight,
            second_child_id=None,
            second_probability=0.0,
            candidates=(candidate,),
            compared=1,
            reason=self.reason,
            model_version=model_version,
            rule=self.reason,
            start=self.start,
        )


class Decider:
    """A model ready to decide. Keeps memories of name pairs: use one per thread, for as long as possible."""

    def __init__(self, model: Model, *, negligible_bits: float = NEGLIGIBLE_BITS) -> None:
        self.model = model
        self.version = model.version
        self._scorer = Scorer(model, negligible_bits=negligible_bits)
        self.start = round(self._scorer.prior_bits, 3)
        self._none = 2.0**-self._scorer.prior_bits
        self._wider_below = WIDER_BELOW_BITS - self._scorer.prior_bits
        certain = model.link_probability / (1 - model.link_probability)
        self._settled_bits = SETTLED_BITS + log2(certain) - self._scorer.prior_bits
        self._plain = [
            [
                Evidence(default.name, level.name, level.outcome, round(weight, 3))
                for level, weight in zip(default.levels, weights, strict=True)
            ]
            for default, weights in zip(lv.COMPARISONS, self._scorer.same, strict=True)
        ]
        self._reasons: dict[tuple[tuple[int, ...], str], str] = {}

    def decide(self, record: Record, source: CandidateSource, *, excluded: Collection[int] = ()) -> Decision:
        """Decide one note. `excluded`: children a person has said it is not about."""
        scored, compared, too_common, seen = list[Item](), 0, False, set(excluded)
        for found, common, enough in self._rounds(record, source):
            ids = found - seen
            seen |= ids
            more, count = self._compare(record, ids, source)
            scored += more
            compared, too_common = compared + count, too_common or common
            if scored and enough and enough(record, scored):
                break
        if not scored:
            return self._new((), compared, too_common)
        scored.sort(reverse=True)
        if source.clusters:
            scored = _one_each(scored, source.clusters)
        return self._choose(scored, compared, too_common)

    def _rounds(self, record: Record, source: CandidateSource) -> Iterator[_Round]:
        """The children to compare, a round at a time: those whom two of the first keys give, the others whom one
        gives, those nearby, and in doubt those further off."""
        hits, common = find_first(record, source)
        yield {child_id for child_id, times in hits.items() if times > 1}, common, self._settled
        yield set(hits), common, self._settled_by_first
        hits, common = find_near(record, source)
        yield set(hits), common, self._fits
        hits, common = find_wide(record, source)
        yield set(hits), common, None

    def _settled(self, record: Record, scored: list[Item]) -> bool:
        """Whether no child that the first keys do not find can matter.

        The best is linked, has both names and differs in nothing. Another that came near it would have both
        names too, so that two of the first keys give it, unless it has another date, or another home where an age
        is told: that alone is more than the margin (8.5 bits for a digit of the date). Of the best that has both the
        date and the home, the other would have neither, which is more than any name can make up for.
        """
        weight, _, restricted, (_, levels, *_) = max(scored)
        if weight < self._settled_bits or not rules.agrees_in_all(levels, homed=bool(record.number)):
            return False
        return not rules.forbidden(levels, restricted=restricted, households=self.model.has_households)

    def _settled_by_first(self, record: Record, scored: list[Item]) -> bool:
        """The same once all whom the first keys find were compared: nor can any matter where the child has moved,
        unless the name lives at the home that the note tells."""
        if self._settled(record, scored):
            return True
        weight, _, restricted, (_, levels, *_) = max(scored)
        if weight < self._settled_bits or not (
            rules.has_moved(levels) and record.postcode and record.address
        ):
            return False
        if rules.forbidden(levels, restricted=restricted, households=self.model.has_households):
            return False
        return not rules.lives_with_others(levels, (item[3][1] for item in scored))

    def _fits(self, record: Record, scored: list[Item]) -> bool:
        return max(scored)[0] >= self._wider_below

    def _compare(self, record: Record, ids: set[int], source: CandidateSource) -> tuple[list[Item], int]:
        """Those of the children that are not out of the question, and how many were compared."""
        if not ids:
            return [], 0
        score, scored, compared = self._scorer.score, list[Item](), 0
        for child_id, child, restricted in source.records(ids):
            compared += 1
            result = score(record, child)
            if result is not None:
                scored.append((result[0], -child_id, restricted, result))
        return scored, compared

    def _choose(self, scored: list[Item], compared: int, too_common: bool) -> Decision:
        odds = [2.0 ** min(weight, 500.0) for weight, *_ in scored]
        total = self._none + sum(odds)
        best, unknown = odds[0] / total, self._none / total
        if best < SHOWN_PROBABILITY_MIN:
            return self._new((), compared, too_common)
        shares = self._shares(scored)
        shown = tuple(
            self._candidate(item, shares[at])
            for at, item in enumerate(scored[:CANDIDATES_SHOWN])
            if at < 2 or odds[at] >= SHOWN_PROBABILITY_MIN * total
        )
        model = self.model
        if 1 - unknown < model.review_probability or best < REVIEW_BEST_MIN:
            return self._new(shown, compared, too_common)
        rule = rules.forbidden(scored[0][3][1], restricted=scored[0][2], households=model.has_households)
        if not rule and model.has_households:
            rule = rules.lives_with_others(scored[0][3][1], (item[3][1] for item in scored[1:]))
        margin = scored[0][0] - scored[1][0] if len(scored) > 1 else 1000.0
        outcome, reason = REVIEW, rule
        if not rule:
            if margin < model.link_margin_bits:
                reason = MORE_THAN_ONE
            elif best < model.link_probability:
                reason = NOT_CERTAIN
            else:
                outcome, reason = LINK, ""
        return Decision(
            outcome=outcome,
            child_id=shown[0].child_id,
            probability=shown[0].probability,
            weight=shown[0].weight,
            second_child_id=shown[1].child_id if len(shown) > 1 else None,
            second_probability=shown[1].probability if len(shown) > 1 else 0.0,
            candidates=shown,
            compared=compared,
            reason=rule if shown[0].restricted else self._reason(scored[0][3][1], shown[0], reason),
            model_version=self.version,
            rule=reason,
            start=self.start,
        )

    def _shares(self, scored: list[Item]) -> list[float]:
        """What is said of each candidate, the likeliest first; see `calibration`. Each is put right by its own kind of
        agreement, but comes before none that weighs more. From the probability of a link on, nothing is."""
        model = self.model
        odds = [2.0 ** min(weight, 500.0) for weight, *_ in scored]
        total = self._none + sum(odds)
        if odds[0] / total >= model.link_probability:
            return [one / total for one in odds]
        least = SHOWN_PROBABILITY_MIN * total  # what is less likely is not shown, and there may be hundreds
        meant = [
            one * exp2(model.bits(item[3][1])) if one >= least else one
            for one, item in zip(odds, scored, strict=True)
        ]
        total = self._none + sum(meant)
        return list(accumulate((one / total for one in meant), min, initial=model.unlinked_most))[1:]

    def weigh(self, record: Record, child: Record, child_id: int, *, restricted: bool) -> Candidate | None:
        """One pair by itself, as it stands now; None where it is too unlike to be a candidate."""
        scored = self._scorer.score(record, child)
        if scored is None:
            return None
        item = (scored[0], -child_id, restricted, scored)
        return self._candidate(item, self._shares([item])[0])

    def _candidate(self, item: Item, probability: float) -> Candidate:
        weight, negative_id, restricted, (_, levels, rarity, step) = item
        evidence = [plain[level] for plain, level in zip(self._plain, levels, strict=True)]
        for at, bits in zip((lv.GIVEN, lv.FAMILY, lv.ADDRESS, lv.SCHOOL), rarity, strict=True):
            if bits:
                plain = evidence[at]
                evidence[at] = Evidence(
                    plain.comparison,
                    plain.level,
                    plain.outcome,
                    round(plain.weight + bits, 3),
                    round(bits, 3),
                )
        told = tuple([e for e in evidence if e.outcome != lv.MISSING])
        return Candidate(-negative_id, probability, round(weight, 3), round(step, 3), restricted, told)

    def _reason(self, levels: list[int], candidate: Candidate, rule: str) -> str:
        """The sentence for these levels: there are few, so they are kept."""
        key = (tuple(levels), rule)
        reason = self._reasons.get(key)
        if reason is None:
            if len(self._reasons) >= REASONS_MAX:
                self._reasons.clear()
            reason = self._reasons[key] = _reason(candidate, rule)
        return reason

    def _new(self, shown: tuple[Candidate, ...], compared: int, too_common: bool) -> Decision:
        if too_common:
            reason = "the name is too common to search by alone, and nothing else narrows it"
        elif not compared:
            reason = "no known child is like this one"
        else:
            reason = "no known child is like this one closely enough"
        return Decision(
            outcome=NEW,
            child_id=None,
            probability=shown[0].probability if shown else 0.0,
            weight=shown[0].weight if shown else 0.0,
            second_child_id=None,
            second_probability=0.0,
            candidates=shown,
            compared=compared,
            reason=reason,
            model_version=self.version,
            rule=reason,
            start=self.start,
        )

    def propose(self, one: Record, other: Record, prior_bits: float) -> Proposal | None:
        """Two records of a registry weighed as a note is; None where the weight is negligible. `prior_bits`:
        log2 of the odds that two records drawn at random are one child."""
        scored = self._scorer.score(one, other)
        if scored is None:
            return None
        weight, levels, *_ = scored
        probability = 1 / (1 + 2.0 ** min(-weight - prior_bits, 500.0))
        candidate = self._candidate((weight, 0, False, scored), probability)
        own_id = levels[lv.UPN] == lv.I_SAME or levels[lv.NHS_NUMBER] == lv.I_SAME
        siblings = bool(rules.not_a_sibling(levels[lv.GIVEN], own_id=own_id))
        rule = rules.forbidden(levels, restricted=False, households=True)
        return Proposal(
            probability, candidate.weight, siblings, self._reason(levels, candidate, rule),
            candidate.household_step, candidate.evidence, round(prior_bits, 3),
        )  # fmt: skip


def decide(
    record: Record, source: CandidateSource, model: Model | Decider, *, excluded: Collection[int] = ()
) -> Decision:
    """Decide one note. Pass a Decider where many follow one another: it remembers names it has compared."""
    decider = model if isinstance(model, Decider) else Decider(model)
    return decider.decide(record, source, excluded=excluded)


def _one_each(
    scored: list[tuple[float, int, bool, Scored]], clusters: Mapping[int, int]
) -> list[tuple[float, int, bool, Scored]]:
    """Of the records of one child, the likeliest alone; the likeliest come first."""
    seen: set[int] = set()
    kept = []
    for item in scored:
        child = clusters.get(-item[1], -item[1])
        if child not in seen:
            seen.add(child)
            kept.append(item)
    return kept


_FIELD_WORDS = {default.name: default.label.lower() for default in lv.COMPARISONS}
_FIELD_WORDS["upn"], _FIELD_WORDS["nhs_number"] = "UPN", "NHS number"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _reason(candidate: Candidate, rule: str) -> str:
    """The decision in one sentence: what agrees, what is near, what differs, and why not more."""
    parts = []
    for outcome, verb in ((lv.AGREE, "agree"), (lv.NEAR, "nearly agree"), (lv.DIFFER, "differ")):
        names = [_FIELD_WORDS[e.comparison] for e in candidate.evidence if e.outcome == outcome]
        if names:
            if len(names) == 1 and not names[0].endswith("names"):
                verb = verb.replace("agree", "agrees").replace("differ", "differs")
            parts.append(f"{_listed(names)} {verb}")
    said = "; ".join(parts)
    said = said[:1].upper() + said[1:] if said[:3] not in ("UPN", "NHS") else said
    return f"{said}: {rule}" if rule else said
