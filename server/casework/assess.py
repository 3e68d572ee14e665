"""What a child's notes mean together: the incidents, the flags they raise, and the grade proposed.

`assess` is a function of the facts and the pack: the same facts in any order give the same answer. A caller
runs it again after a late arrival, an amendment, a withdrawal, a merge or an unmerge, and compares the flags
it gets with the stored ones by `flag_key`:

- a key that is new: raise the flag, with a duty;
- a key whose flag has notes it had not: the flag grew. If its duty was closed or the flag dismissed, that is
  a new duty, else a note would be nobody's;
- a stored key that is gone: its grounds are gone; retract it with that reason.

**Every note ends with a duty on somebody.** A live note is in the flag of some rule at the grade of its
categories or above, which was there when the note arrived or was raised by it, or it is in a `concern` flag
of its own incident. So one worrying note is seen, and a child's third note makes one alert and not two.
"""

from collections.abc import Sequence

import msgspec

from server.casework.facts import MINUTE_MS, ChildFacts, NoteFact
from server.casework.grades import URGENCY
from server.casework.history import History
from server.casework.incidents import Incident
from server.casework.pack import CONCERN, ConcernOf, Pack
from server.casework.rules import Raised, evaluate
from server.casework.shapes import Timed
from sync.vocabulary import Grade


class RaisedFlag(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One flag that the rules want on the child. Times are milliseconds since the epoch.

    `flag_key` is unique within the child and stays the same while the flag grows: the rule's name, or for
    `concern` the name and the incident. `rule_version` is the pack's. `note_ids` are in the order observed.
    `raised_at` is the server's receipt of the note that first completed the grounds: the clock's start.
    `observed_from` and `observed_to` are the first and last time observed of the notes. A rule with a clock of
    its own says when it ends (`due_at`), what it counts down to, and when a supervisor hears (`warns_at`).
    """

    flag_key: str
    rule: str
    rule_version: str
    grade: Grade
    sentence: str
    note_ids: tuple[str, ...]
    proposes: str | None
    raised_at: int
    observed_from: int
    observed_to: int
    due_at: int | None = None
    due_words: str | None = None
    warns_at: int | None = None


class Assessment(msgspec.Struct, frozen=True, gc=False):
    """Incidents in the order observed, flags gravest first, and the highest grade proposed."""

    incidents: tuple[Incident, ...]
    flags: tuple[RaisedFlag, ...]
    grade: Grade | None


NOTHING = Assessment((), (), None)


def assess(child: ChildFacts, notes: Sequence[NoteFact], pack: Pack, now: int) -> Assessment:
    """All incidents and flags of one child, from every note linked to the child.

    `now` (milliseconds) is for rules that will depend on the time; none of today's does, as flags do not
    lapse. Raises nothing for any facts that have the right types.
    """
    del now
    history = History(child, notes, pack)
    if not history.live:
        return NOTHING
    raised = []
    for rule in pack.rules:
        found = evaluate(rule, history)
        if found is not None:
            raised.append(found)
    incidents = history.incidents()
    flags = [_flag(found, history) for found in raised]
    flags += _concerns(history, incidents, raised)
    if len(flags) > 1:
        flags.sort(key=_gravest_first)
    # Every live note is in some flag, so there is a first one, and it is the gravest.
    return Assessment(incidents, tuple(flags), flags[0].grade)


def _gravest_first(flag: RaisedFlag) -> tuple[int, int, str]:
    return -URGENCY[flag.grade._value_], flag.raised_at, flag.flag_key


def _flag(raised: Raised, history: History) -> RaisedFlag:
    live, members, rule = history.live, raised.members, raised.rule
    timed = rule if isinstance(rule, Timed) and raised.due_at is not None else None
    return RaisedFlag(
        flag_key=rule.name,
        rule=rule.name,
        rule_version=history.pack.version,
        grade=rule.grade,
        sentence=raised.sentence,
        note_ids=tuple([live[n].note_id for n in members]),
        proposes=rule.proposes._value_ if rule.proposes is not None else None,
        raised_at=raised.raised_at,
        observed_from=live[members[0]].observed_at,
        observed_to=live[members[-1]].observed_at,
        due_at=raised.due_at,
        due_words=timed.clock if timed else None,
        warns_at=raised.due_at - timed.warn_minutes * MINUTE_MS if timed and raised.due_at else None,
    )


def _concerns(history: History, incidents: Sequence[Incident], raised: Sequence[Raised]) -> list[RaisedFlag]:
    """A flag for each incident with notes that no rule took up when they arrived.

    A flag that came later, or is of a lower grade, does not take a note up: the duty that the note put on
    somebody would start its clock again, or lose urgency.
    """
    live, pack = history.live, history.pack
    taken = [-1] * len(live)
    received = [note.received_at for note in live]
    for found in raised:
        urgency = URGENCY[found.rule.grade._value_]
        raised_at = found.raised_at
        for n in found.members:
            if urgency > taken[n] and raised_at <= received[n]:
                taken[n] = urgency
    about = set(history.about) if len(history.about) < len(live) else None
    flags = []
    for members, incident in zip(history.groups(), incidents, strict=True):
        left: list[int] = []
        gravest = pack.bystander
        for n in members:
            concern = _concern_of(live[n], pack) if about is None or n in about else pack.bystander
            if taken[n] < concern[0]:
                # The earliest of the gravest notes names the concern, one about the child before another.
                level = concern[0] - gravest[0]
                if not left or level > 0 or (level == 0 and gravest is pack.bystander):
                    gravest = concern
                left.append(n)
        if left:
            flags.append(_concern(left, gravest, incident.incident_key, history))
    return flags


def _concern_of(note: NoteFact, pack: Pack) -> ConcernOf:
    """What a note is by itself: the gravest of its categories, the first of several as grave."""
    concerns = pack.concerns
    categories = note.categories
    if not categories:
        return concerns["other" if note.missing_hours is None else "missing"]
    best = concerns[categories[0]._value_]
    for category in categories:
        entry = concerns[category._value_]
        if entry[0] > best[0]:
            best = entry
    return best


def _concern(left: list[int], gravest: ConcernOf, incident_key: str, history: History) -> RaisedFlag:
    """The concern of one incident, of those of its notes that nothing else took up."""
    live = history.live
    first = live[left[0]]
    single = len(left) == 1
    return RaisedFlag(
        flag_key=f"{CONCERN}:{incident_key}",
        rule=CONCERN,
        rule_version=history.pack.version,
        grade=gravest[1],
        sentence=gravest[2],
        note_ids=(first.note_id,) if single else tuple([live[n].note_id for n in left]),
        proposes=None,
        raised_at=first.received_at if single else min([live[n].received_at for n in left]),
        observed_from=first.observed_at,
        observed_to=live[left[-1]].observed_at,
    )
