"""When a note was seen and written, as the rules and linkage take it, whatever clock its phone dates by (invariant 13).

A phone's clock may be wrong by years and must not keep a worry from anyone: dated three years back, a note is counted
by no rule over 90 days, and a child of 12 is compared as one of 15. What cannot be is taken as seen when the note was
received; the note keeps what the phone said, and its author is told that its time cannot be right. What cannot be:

    seen after it was received, or before the oldest child was born;
    written before its phone was enrolled, or before that phone last said that nothing waited on it: whatever waited
    then had been received by then.

The second needs no word of the phone about its clock, and leaves a wrong clock unseen for no longer than the phone was
silent. The time between seeing and writing is kept: both were told by the same clock.
"""

import datetime
from collections.abc import Sequence

import msgspec

from server import placing
from server.casework.facts import milliseconds
from server.foreseen import Foreseen
from server.prepared import Prepared, When
from server.records import conditions
from server.storage.port import Transaction
from sync import limits
from sync.note import Note

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def dated(tx: Transaction, device_id: str, prepared: Sequence[Prepared], received_at: int) -> list[Prepared]:
    """The lines of a push, those notes dated anew whose own time cannot be: their subjects are as old as described on
    the day that is taken instead. Most pushes come back as they are, and cost no look at the database."""
    found = list(prepared)
    empty_at: int | None = None
    for place, item in enumerate(prepared):
        note = item.arrival.body
        if not isinstance(note, Note):
            continue
        seen_at, written_at = milliseconds(note.observed_at), milliseconds(note.recorded_at)
        since = 0
        if written_at < received_at - limits.CLOCK_AHEAD_MS_MAX:
            if empty_at is None:
                empty_at = conditions.empty_at(tx, device_id, by=received_at)
            since = empty_at
        when = believed(seen_at, written_at, received_at, since)
        if when is not None:
            found[place] = again(item, note, when)
    return found


def believed(seen_at: int, written_at: int, received_at: int, since: int = 0) -> When | None:
    """When a note was seen and written that says so of itself, or None where that can be. All in ms.

    `since`: it cannot have been written before.
    """
    if written_at < since - limits.CLOCK_AHEAD_MS_MAX:
        # An officer who types a later time than the phone's clock shows knows that the clock is wrong.
        ago = written_at - seen_at if seen_at <= written_at else max(0, received_at - seen_at)
        shifted = received_at - ago
        too_long_ago = ago > limits.OBSERVED_BEFORE_MS_MAX
        return When(received_at if too_long_ago else shifted, received_at, True)
    if seen_at > received_at:
        return When(received_at, written_at, seen_at > received_at + limits.CLOCK_AHEAD_MS_MAX)
    if seen_at < received_at - limits.OBSERVED_BEFORE_MS_MAX:
        return When(received_at, written_at, True)
    return None


def again(item: Prepared, note: Note, when: When) -> Prepared:
    """A line with its note dated so. Its subjects are described anew where their ages depend on it."""
    if not when.doubtful:
        return msgspec.structs.replace(item, when=when)
    return Prepared(item.arrival, placing.describe(seen(note, when.seen_at)), when)


def seen(note: Note, at: int) -> Note:
    """The note as if it had said that it was seen then (ms)."""
    return msgspec.structs.replace(note, observed_at=EPOCH + datetime.timedelta(milliseconds=at))


def still_foreseen(foreseen: Foreseen | None, dated_: Sequence[Prepared]) -> Foreseen | None:
    """What was foreseen of a push, but for the notes whose subjects are described otherwise now."""
    wrong = {item.arrival.index for item in dated_ if item.when is not None and item.when.doubtful}
    if foreseen is None or not wrong:
        return foreseen
    left = {place: said for place, said in foreseen.subjects.items() if place not in wrong}
    return msgspec.structs.replace(foreseen, subjects=left)
