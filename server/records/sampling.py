"""Dip samples of closed work, which nobody chooses by hand and anybody can draw again.

A sample is announced with the SHA-256 of a secret, the window, the number for each stratum, and where a public value
(a lottery draw, say) will be published later. When that value is known the secret is published with it, and

    seed = SHA-256("earlysign-dip-1:" secret ":" public value)        in hexadecimal
    rank of an alert = SHA-256(seed ":" number of the alert)          in hexadecimal

The lowest ranks of each stratum (borough and highest grade) are the sample. Whoever announces cannot know the value,
whoever types the value in cannot change the secret, and both can be checked against what was published.
"""

import datetime
import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.days import instant
from server.storage.port import Transaction

SAMPLES_SHOWN = 50
PER_STRATUM_MAX = 20
"""More than this of each borough and grade is an audit, and wants another plan than a dip."""

WORDS_CHARACTERS_MIN = 10  # a review that says nothing is none

OUTCOMES = ("good", "requires_improvement", "inadequate")


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A sample. `secret` and `public_value` are None until it is drawn. Times in milliseconds."""

    sample_id: int
    commitment: str
    secret: str | None
    closed_from: int
    closed_before: int
    per_stratum: int
    public_source: str
    announced_by: str
    announced_at: int
    public_value: str | None
    drawn_by: str | None
    drawn_at: int | None

    def may_be_drawn(self, now: int) -> bool:
        """Once, and when its last day is over."""
        return self.drawn_at is None and self.closed_before <= now


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of a sample and what its reviewer found."""

    sample_id: int
    alert_id: int
    stratum_borough: str
    stratum_grade: str
    outcome: str | None
    words: str | None
    reviewed_by: str | None
    reviewed_at: int | None


_COLUMNS = [name for name in Sample.__struct_fields__ if name != "secret"]
_SAMPLE = (
    "SELECT " + ", ".join(_COLUMNS) + ", CASE WHEN drawn_at IS NULL THEN NULL ELSE secret END FROM dip_sample"
)
_ITEM = "SELECT " + ", ".join(Item.__struct_fields__) + " FROM dip_item"


@impersonal("a digest of nothing but a secret")
def commitment(secret: str) -> str:
    """What is published of a secret before the draw."""
    return hashlib.sha256(f"earlysign-dip-1:{secret}".encode()).hexdigest()


@impersonal("numbers of alerts in an order that the seed gives them")
def drawn_from(
    pool: Sequence[tuple[int, str, str]], secret: str, public_value: str, per_stratum: int
) -> list[tuple[int, str, str]]:
    """The sample of a pool of (alert, borough, grade): a pure function, so that anybody can draw it again."""
    seed = hashlib.sha256(f"earlysign-dip-1:{secret}:{public_value}".encode()).hexdigest()
    strata: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for alert_id, borough, grade in pool:
        rank = hashlib.sha256(f"{seed}:{alert_id}".encode()).hexdigest()
        strata.setdefault((borough, grade), []).append((rank, alert_id))
    return [
        (alert_id, borough, grade)
        for (borough, grade), ranked in sorted(strata.items())
        for _, alert_id in sorted(ranked)[:per_stratum]
    ]


@impersonal("days as instants")
def window(first: datetime.date, last: datetime.date) -> tuple[int, int]:
    """From the first day's midnight in London to the midnight that ends the last, in milliseconds."""
    after = last + datetime.timedelta(days=1)
    return instant(first, datetime.time()), instant(after, datetime.time())


@impersonal("the terms of a sample, before anything is drawn")
def announce(
    tx: Transaction, person: Person, *, secret: str, closed_from: int, closed_before: int, per_stratum: int,
    public_source: str, now: int,
) -> int:  # fmt: skip
    """Announce a sample; its number. `secret` is random and stays hidden until the draw. Raises NotAllowed."""
    _require(person)
    sample_id: int = tx.insert(
        "INSERT INTO dip_sample (commitment, secret, closed_from, closed_before, per_stratum, public_source,"
        " announced_by, announced_at) VALUES (:commitment, :secret, :from, :before, :most, :source, :person, :now)",
        {
            "commitment": commitment(secret), "secret": secret, "from": closed_from, "before": closed_before,
            "most": per_stratum, "source": public_source, "person": person.username, "now": now,
        },
        "sample_id",
    )  # fmt: skip
    return sample_id


@audited(Verb.CONSULTATION)
def draw(tx: Transaction, person: Person, sample_id: int, public_value: str, *, now: int) -> list[int]:
    """Draw an announced sample with the public value; the alerts in it. Empty where it was drawn before, where
    its window has not ended, or where nothing was closed in it. Raises NotAllowed."""
    _require(person)
    row = tx.row(
        "UPDATE dip_sample SET public_value = :value, drawn_by = :person, drawn_at = :now"
        " WHERE sample_id = :id AND drawn_at IS NULL AND closed_before <= :now"
        " RETURNING secret, commitment, closed_from, closed_before, per_stratum",
        {"value": public_value, "person": person.username, "now": now, "id": sample_id},
    )
    if row is None:
        return []
    secret, promised, since, before, most = row
    if not hmac.compare_digest(commitment(secret), promised):
        raise NotAllowed("The secret of this sample is not the one that was promised.")
    chosen = drawn_from(pool(tx, since, before), secret, public_value, most)
    tx.executemany(
        "INSERT INTO dip_item (sample_id, alert_id, stratum_borough, stratum_grade)"
        " VALUES (:sample, :alert, :borough, :grade)",
        [
            {"sample": sample_id, "alert": alert_id, "borough": borough, "grade": grade}
            for alert_id, borough, grade in chosen
        ],
    )
    ids = [alert_id for alert_id, _, _ in chosen]
    record(
        tx, Actor("person", person.username), Verb.CONSULTATION, "alert", ids, now=now, reason="dip sample"
    )
    return ids


@impersonal("numbers, boroughs and grades of closed alerts: what a sample is drawn from")
def pool(tx: Transaction, closed_from: int, closed_before: int) -> list[tuple[int, str, str]]:
    """(alert, borough, highest grade) of the work that people closed in a window, by number."""
    rows = tx.rows(
        "SELECT alert_id, borough, highest_grade FROM alert WHERE state = 'closed' AND acknowledged_by IS NOT NULL"
        " AND closed_at >= :from AND closed_at < :before ORDER BY alert_id",
        {"from": closed_from, "before": closed_before},
    )
    return [(row[0], row[1], row[2]) for row in rows]


@impersonal("numbers, boroughs and grades of closed alerts, for whoever draws a sample again")
def drawn_pool(tx: Transaction, person: Person, sample_id: int) -> list[tuple[int, str, str]]:
    """What a sample was drawn from; empty while it was not. Raises NotAllowed, also where there is none."""
    found = sample(tx, person, sample_id)
    return pool(tx, found.closed_from, found.closed_before) if found.drawn_at is not None else []


@impersonal("the terms of samples")
def samples(tx: Transaction, person: Person) -> list[Sample]:
    """The samples, newest first. Raises NotAllowed."""
    _require(person)
    rows = tx.rows(_SAMPLE + " ORDER BY sample_id DESC LIMIT :most", {"most": SAMPLES_SHOWN})
    return [_sample(row) for row in rows]


@impersonal("the terms of a sample")
def sample(tx: Transaction, person: Person, sample_id: int) -> Sample:
    """One sample. Raises NotAllowed, also where there is none."""
    _require(person)
    row = tx.row(_SAMPLE + " WHERE sample_id = :id", {"id": sample_id})
    if row is None:
        raise NotAllowed("There is no such sample.")
    return _sample(row)


@audited(Verb.CONSULTATION)
def items(tx: Transaction, person: Person, sample_id: int, *, now: int) -> list[Item]:
    """What is in a sample, by borough, grade and number. Raises NotAllowed."""
    _require(person)
    rows = tx.rows(
        _ITEM + " WHERE sample_id = :id ORDER BY stratum_borough, CASE stratum_grade WHEN 'red' THEN 0"
        " WHEN 'amber' THEN 1 WHEN 'green' THEN 2 ELSE 3 END, alert_id",
        {"id": sample_id},
    )
    found = [msgspec.convert(dict(zip(Item.__struct_fields__, row, strict=True)), Item) for row in rows]
    ids = [one.alert_id for one in found]
    record(
        tx, Actor("person", person.username), Verb.CONSULTATION, "alert", ids, now=now, reason="dip sample"
    )
    return found


@audited(Verb.CONSULTATION)
def item(tx: Transaction, person: Person, sample_id: int, alert_id: int, *, now: int) -> Item:
    """One alert of a sample. Raises NotAllowed, also where it is in no such sample."""
    found = next((one for one in items(tx, person, sample_id, now=now) if one.alert_id == alert_id), None)
    if found is None:
        raise NotAllowed("There is no such case in this sample.")
    return found


@audited(Verb.ALTERATION)
def judge(
    tx: Transaction, person: Person, sample_id: int, alert_id: int, outcome: str, words: str, *, now: int
) -> bool:
    """Write down what a reviewer found. False where it is in no such sample. Raises NotAllowed."""
    _require(person)
    if outcome not in OUTCOMES or not tx.execute(
        "UPDATE dip_item SET outcome = :outcome, words = :words, reviewed_by = :person, reviewed_at = :now"
        " WHERE sample_id = :sample AND alert_id = :alert",
        {
            "outcome": outcome, "words": words, "person": person.username, "now": now, "sample": sample_id,
            "alert": alert_id,
        },
    ):  # fmt: skip
        return False
    record(
        tx,
        Actor("person", person.username),
        Verb.ALTERATION,
        "dip_item",
        [f"{sample_id}-{alert_id}"],
        now=now,
    )
    return True


def _require(person: Person) -> None:
    if not person.may(Permission.SAMPLE):
        raise NotAllowed("Your role does not draw or review samples.")


def _sample(row: tuple[object, ...]) -> Sample:
    return msgspec.convert(dict(zip([*_COLUMNS, "secret"], row, strict=True)), Sample)
