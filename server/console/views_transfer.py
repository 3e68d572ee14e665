"""The shapes of handing a duty to another borough or force, and of a child's open case. See `views`."""

from server.console.views import Choice, QueueRow, View


class TransferPage(View, frozen=True, kw_only=True):
    """Offer an alert, or its child, to another borough."""

    row: QueueRow
    boroughs: tuple[Choice, ...]
    whole: bool = False
    reason: str = ""
    error: str | None = None


class OfferRow(View, frozen=True, kw_only=True):
    """One offer that waits. `rows` are the alerts that it is about, with their clocks, which run with the sender."""

    transfer_id: int
    sender: str
    receiver: str
    whole: bool
    reason: str
    asked_by: str
    asked_at: int
    rows: tuple[QueueRow, ...]
    can_accept: bool
    can_take_back: bool


class TransfersPage(View, frozen=True, kw_only=True):
    """Offers that wait for an answer: what the reader's boroughs are asked to take, and what they offered."""

    asked: tuple[OfferRow, ...]
    offered: tuple[OfferRow, ...]
    wrong: int | None = None
    error: str | None = None
    reason: str = ""


class ContactRow(View, frozen=True, kw_only=True):
    """One call to another force."""

    force: str
    spoke_to: str
    said: str
    called_at: int
    person: str


class OtherForcePage(View, frozen=True, kw_only=True):
    """Who rang whom about an alert of the other-force queue."""

    row: QueueRow
    contacts: tuple[ContactRow, ...]
    force: str = ""
    spoke_to: str = ""
    said: str = ""
    minutes: str = "0"
    error: str | None = None
    wrong_field: str | None = None


class LeadRow(View, frozen=True, kw_only=True):
    """Who led a case, of which borough, and since when."""

    lead: str
    borough: str
    since: int


class CaseRow(View, frozen=True, kw_only=True):
    """A case of a child."""

    reason: str
    opened_by: str
    opened_at: int
    leads: tuple[LeadRow, ...]
    closed_at: int | None = None
    closed: str | None = None


class CasePage(View, frozen=True, kw_only=True):
    """The cases of a child: the open one and those before. Names nobody but who works them."""

    child_id: int
    open: CaseRow | None
    mine: bool
    before: tuple[CaseRow, ...]
    leads: tuple[Choice, ...]
    reason: str = ""
    error: str | None = None
    access_reason: str = ""
    """Why a restricted record was opened; goes back with the forms."""
