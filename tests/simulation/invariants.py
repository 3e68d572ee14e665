"""The seventeen invariants of the sync protocol. `@pytest.mark.invariant(n)` names the tests that hold each."""

INVARIANTS = {
    1: "An acknowledged op survives kill -9, and a power cut.",
    2: "Any retry, drop, duplicate, reorder or batch split of the same ops ends in the same state, times apart.",
    3: "One key, one effect, one verdict for ever; other bytes never overwrite.",
    4: "Every op received ends applied, parked, superseded or quarantined. Nothing is discarded.",
    5: "One bad op never changes another's verdict.",
    6: "The union of pulls is every committed change in scope; cursors are monotone.",
    7: "Nothing uncommitted or rolled back is ever seen.",
    8: "Every byte pulled was in scope when sent; what left scope is removed by the next checkpoint.",
    9: "At a checkpoint the device's view equals a query by an oracle, and checksums agree.",
    10: "Resync, wipe or upgrade never drops an unsent op, an ordered wipe after custody excepted.",
    11: "After a server restore, no op that a living device holds is lost.",
    12: "A restored or cloned device loses nothing and overwrites nothing.",
    13: "Changing clocks changes only time annotations.",
    14: "A readable attachment matches its digest; an offset never exceeds durable bytes.",
    15: "When faults stop, every queue drains in a bounded number of rounds.",
    16: '"All sent" is shown only when the outbox is empty and everything in it receipted.',
    17: "Two workers that meet the same unknown child at the same instant end with one child.",
}
