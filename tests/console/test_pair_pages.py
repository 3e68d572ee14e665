"""Proposals to merge, by their pages: listed by what is at stake, compared, answered with one press, taken back."""

from __future__ import annotations

import msgspec
import pytest

from server.access.policy import Permission
from server.linkage.decide import Decider
from server.linkage.model import default_model
from server.records import children, merges
from server.storage.port import Transaction
from tests.console.kit import Browser, text, titles
from tests.http.kit import Client, add_person, services_of
from tests.road import AMARA, CAMDEN, JONAS, REGISTRY, Road

MOVED = msgspec.structs.replace(AMARA, given_names="Amarah", address="77 Kingsway Road", postcode="E17 4PP")
DECIDER = Decider(default_model())


def propose(road: Road, one: int, other: int, *, weighed: bool = True) -> int:
    """Propose as re-linking does, with what it weighed."""

    def work(tx: Transaction) -> int:
        low, high = sorted((one, other))
        records = children.record_of(tx, low), children.record_of(tx, high)
        found = DECIDER.propose(*records, prior_bits=-10.0) if weighed else None
        return merges.propose(
            tx, REGISTRY, one, other,
            probability=found.probability if found else None, weight=found.weight if found else None,
            evidence=found.decision(high, DECIDER.version) if found else None,
            reason=found.reason if found else "their teacher says so", now=road.now,
        )  # fmt: skip

    made: int = road.store.write_now(work)
    assert made
    return made


@pytest.fixture
def pair(road: Road) -> tuple[int, int]:
    return road.child(AMARA), road.child(MOVED)


def test_the_list_is_ordered_by_what_is_at_stake_and_counted(
    rivera: Browser, road: Road, pair: tuple[int, int]
) -> None:
    assert "No pair waits" in text(rivera.get("/pairs").text)
    grave = road.child(JONAS), road.child(msgspec.structs.replace(JONAS, given_names="Jonah"))
    quiet, urgent = propose(road, *pair), propose(road, *grave)
    road.officer().writes(JONAS, danger_now=True)
    page = rivera.get("/pairs")
    said = text(page.text)
    assert page.text.index(f"/pairs/{urgent}") < page.text.index(f"/pairs/{quiet}")
    assert "In danger now" in said and "Red" in said and "Pairs 2 waiting" in said
    assert all("Jonas" not in title for title in titles(page.text))


def test_a_pair_stands_side_by_side_and_each_look_is_logged(
    rivera: Browser, road: Road, pair: tuple[int, int]
) -> None:
    number = propose(road, *pair)
    before = road.count("audit_subject")
    said = text(rivera.get(f"/pairs/{number}").text)
    assert "Are these one child?" in said and "Proposed by linkage" in said
    assert "14 Coldharbour Lane" in said and "77 Kingsway Road" in said
    assert "Agrees" in said and "Differs" in said and "How the weights add up" in said
    assert "this record says 14 Coldharbour Lane" in said
    assert road.count("audit_subject") >= before + 2


def test_same_merges_and_undo_lets_it_wait_again(rivera: Browser, road: Road, pair: tuple[int, int]) -> None:
    number = propose(road, *pair)
    answer = rivera.send(f"/pairs/{number}/decision", decision="same")
    assert answer.status_code == 303 and answer.headers["location"] == "/pairs"
    assert "one child" in rivera.said(answer)
    assert road.store.read_now(lambda tx: children.kept(tx, pair[1])) == pair[0]
    decided = text(rivera.get(f"/pairs/{number}").text)
    assert "decided" in decided and "the same child" in decided and "Same child: merge" not in decided
    again = rivera.send(f"/pairs/{number}/decision", decision="not_same")
    assert "was decided" in rivera.said(again)
    answer = rivera.send(f"/pairs/{number}/undo")
    assert answer.headers["location"] == f"/pairs/{number}" and "waits" in rivera.said(answer)
    assert road.store.read_now(lambda tx: children.kept(tx, pair[1])) == pair[1]
    assert "Same child: merge" in text(rivera.get(f"/pairs/{number}").text)
    assert rivera.send(f"/pairs/{number}/undo").status_code == 404


@pytest.mark.parametrize("said", ["not_same", "cannot_tell"])
def test_what_a_person_said_persists_and_the_next_pair_comes(
    rivera: Browser, road: Road, pair: tuple[int, int], said: str
) -> None:
    number = propose(road, *pair)
    following = propose(road, road.child(JONAS), road.child(JONAS), weighed=False)
    answer = rivera.send(f"/pairs/{number}/decision", decision=said, reason="two cousins")
    assert answer.headers["location"] == f"/pairs/{following}"
    assert f"/pairs/{number}/undo" in rivera.get(f"/pairs/{number}").text
    with pytest.raises(AssertionError):
        propose(road, *pair)
    assert rivera.send(f"/pairs/{following}/decision", decision="perhaps").status_code == 400


def test_a_restricted_record_asks_for_a_reason_and_says_nothing_before(
    client: Client, rivera: Browser, road: Road
) -> None:
    one, other = road.child(AMARA), road.child(MOVED, restricted=True)
    number = propose(road, one, other)
    listed = text(rivera.get("/pairs").text)
    assert "Restricted record" in listed and "Amarah" not in listed and "likely" not in listed
    asked = rivera.get(f"/pairs/{number}")
    assert "This record is restricted" in text(asked.text) and "Amara" not in asked.text
    assert rivera.send(f"/pairs/{number}/open", reason="").status_code == 422
    shown = rivera.send(f"/pairs/{number}/open", reason="the court asked today")
    assert "77 Kingsway Road" in text(shown.text)
    assert rivera.send(f"/pairs/{number}/decision", decision="same").status_code == 404
    answer = rivera.send(f"/pairs/{number}/decision", decision="same", access_reason="the court asked today")
    assert answer.status_code == 303
    assert rivera.send(f"/pairs/{number}/undo").status_code == 303
    policy = services_of(client).policy
    assert Permission.SEE_RESTRICTED in policy.roles["investigator"].permissions


def test_who_may_not_decide_or_see_has_no_such_page(
    client: Client, rivera: Browser, road: Road, pair: tuple[int, int]
) -> None:
    number = propose(road, *pair)
    team = Browser(client, add_person(client, "team", role="scrutiny", borough=None))
    assert team.get("/pairs").status_code == 403 and team.get(f"/pairs/{number}").status_code == 403
    elsewhere = Browser(client, add_person(client, "other", borough=CAMDEN))
    assert "No pair waits" in text(elsewhere.get("/pairs").text)
    assert elsewhere.get(f"/pairs/{number}").status_code == 404
    assert elsewhere.send(f"/pairs/{number}/decision", decision="same").status_code == 404
    assert road.count("merge_event") == 0
    rivera.send(f"/pairs/{number}/decision", decision="not_same")
    assert elsewhere.send(f"/pairs/{number}/undo").status_code == 404
    assert road.count("merge_event") == 1
