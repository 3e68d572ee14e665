"""Every record that could be another one's child, as linkage compares it: what re-linking looks through."""

from server.audit import impersonal
from server.linkage.standardise import Record, decode_record
from server.records.child import Standing
from server.storage.port import Transaction


@impersonal(
    "standardised descriptions, for the server's own work; what comes of it is shown, and logged, by pair"
)
def some(tx: Transaction, *, after: int, most: int) -> list[tuple[int, Record]]:
    """(number, record) of the next records after this number, in their order; none at the end.

    Those that wait for a review are left out, for a person is being asked of them already, and so are those that
    hold nothing any more. A child who is no longer in the registry may stand in it anew under another number.
    """
    rows = tx.rows(
        "SELECT child_id, record FROM child WHERE child_id > :after AND standing IN (:known, :provisional)"
        " ORDER BY child_id LIMIT :most",
        {
            "after": after,
            "most": most,
            "known": Standing.KNOWN.value,
            "provisional": Standing.PROVISIONAL.value,
        },
    )
    return [(child_id, decode_record(encoded)) for child_id, encoded in rows]
