"""Samples of the pages over boroughs: overview, transfers, cases, scrutiny and the log."""

from __future__ import annotations

from server.console.views import Choice, View
from server.console.views_overview import (
    Bar,
    Measure,
    NoiseRow,
    NoticePage,
    NoticeRow,
    OverviewPage,
    OwingRow,
    SetAsideRow,
    SmallChart,
    WaitingRow,
)
from server.console.views_scrutiny import (
    AlikeRow,
    AuditPage,
    DipPage,
    ItemRow,
    LogRow,
    SamplePage,
    ScrutinyPage,
)
from server.console.views_transfer import (
    CasePage,
    CaseRow,
    ContactRow,
    LeadRow,
    OfferRow,
    OtherForcePage,
    TransferPage,
    TransfersPage,
)
from server.records.sampling import Sample
from tests.console import samples_queue
from tests.console.samples import NOW

_BOROUGHS = (Choice(value="E09000028", label="Southwark"),)
_CHART = SmallChart(
    name="sync-1", title="Lambeth", said="3.5 hours in 8 weeks",
    bars=(Bar(label="3 Mar", value="3.5", x=0, width=80, top=0, height=100),),
)  # fmt: skip
_MEASURE = Measure(
    key="sync", title="Hours lost to late sync", explains="On the way.", weeks=("3 Mar",),
    charts=(_CHART,), rows=(("Lambeth", ("3.5",), "3.5"),),
)  # fmt: skip
_LED = (LeadRow(lead="DC Ruth Adeyemi", borough="Lambeth", since=NOW),)
_CASE = CaseRow(reason="Section 47 enquiry", opened_by="DC Ruth Adeyemi", opened_at=NOW, leads=_LED)
_SAMPLE = Sample(
    sample_id=1, commitment="ab" * 32, secret="cd" * 32, closed_from=NOW, closed_before=NOW, per_stratum=2,
    public_source="A lottery draw", announced_by="quill", announced_at=NOW, public_value="7 11 13",
    drawn_by="quill", drawn_at=NOW,
)  # fmt: skip
_ROW = samples_queue.rows()[0]

PAGES: dict[str, View] = {
    "notice.html": NoticePage(heading="Children coming to notice", boroughs=_BOROUGHS, rows=(
            NoticeRow(child_id=5, name="Sumaya", age="12", grade="amber",
                      borough="Lambeth", why="Three incidents.", last_at=NOW),)),
    "overview.html": OverviewPage(
        heading="Overview, Lambeth", unacknowledged=2, overdue=1, stuck_reviews=1, rows=samples_queue.rows(),
        waiting=(
            WaitingRow(
                borough="Lambeth", href="/alerts", unacknowledged=2, red=1, overdue=1, stuck_reviews=1,
                oldest_at=NOW,
            ),
        ),
        owing=(
            OwingRow(
                phone="Ward phone", officer="PC Okafor", borough="Lambeth",
                sentence="This phone owes note 7.", last_seen_at=NOW, revoked=True,
            ),
        ),
        set_aside=(
            SetAsideRow(
                phone="Ward phone", officer="PC Okafor", borough="Lambeth", entries=2, oldest_at=NOW,
            ),
        ),
        measures=(_MEASURE,), since=NOW, noise_days=7,
        noise=(
            NoiseRow(
                name="DC Ruth Adeyemi", role="Borough investigator", borough="Lambeth", at_once=(3, 1, 0, 0),
                total=4, at_night=1, in_digests=9,
            ),
        ),
    ),
    "transfer.html": TransferPage(row=_ROW, boroughs=_BOROUGHS, error="Choose a borough."),
    "transfers.html": TransfersPage(
        asked=(
            OfferRow(
                transfer_id=1, sender="Lambeth", receiver="Southwark", whole=True, reason="Moved",
                asked_by="DC Ruth Adeyemi", asked_at=NOW, rows=(_ROW,), can_accept=True, can_take_back=True,
            ),
        ),
        offered=(), wrong=1, error="Say why, in a few words.",
    ),
    "other_force.html": OtherForcePage(
        row=_ROW, error="Say which force.", wrong_field="force",
        contacts=(
            ContactRow(force="Kent", spoke_to="Sgt 412", said="They go", called_at=NOW, person="Insp Grant"),
        ),
    ),
    "case.html": CasePage(
        child_id=5, open=_CASE, mine=True, before=(_CASE,), leads=_BOROUGHS, error="Say why, in a sentence."
    ),
    "scrutiny.html": ScrutinyPage(samples=(_SAMPLE,), error="Give the first and the last day."),
    "sample.html": SamplePage(
        sample=_SAMPLE, reviewed=0, may_draw=False,
        items=(
            ItemRow(alert_id=3, borough="Lambeth", grade="red", outcome="Good", reviewed_by="Nell Quill"),
        ),
    ),
    "dip.html": DipPage(
        sample_id=1, row=_ROW, words="", error="Choose an outcome.",
        outcomes=(Choice(value="good", label="Good"),),
        alike=(AlikeRow(child_id=9, borough="Camden", shared=("neglect", "graded red")),),
    ),
    "audit.html": AuditPage(
        kind="child", id="5", older_href="/audit?kind=child&id=5&before=7",
        rows=(
            LogRow(
                position=7, at=NOW, who="DC Ruth Adeyemi", verb="disclosure", what="child 5", reason="list",
                recipients=("borough:E09000028",),
            ),
        ),
    ),
}  # fmt: skip
