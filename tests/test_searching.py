"""A search finds who is meant, shows what the person may see, and logs each record that it shows."""

from __future__ import annotations

import msgspec
import pytest

from server import answering, merging, searching
from server.access.errors import NotAllowed, SearchedTooOften
from server.access.identity import Person
from server.linkage.asking import Asked, from_fields, understand
from server.records import child, search
from server.records.child import Standing
from server.searching import Found
from sync.note import Subject
from tests.road import (
    AMARA,
    AMARA_VAGUE,
    CAMDEN,
    JONAS,
    LAMBETH,
    SOUTHWARK,
    TWIN,
    VAGUE,
    Road,
    somebody,
)

RIVERA = somebody("rivera")
WHOLE = "amara okonkwo 4/3/2012"
REASON = "asked by the court today"


def look(road: Road, asked: str | Asked, person: Person = RIVERA, reason: str | None = None) -> Found:
    what = understand(asked) if isinstance(asked, str) else asked
    model = road.world.decider.model
    return road.store.read_now(
        lambda tx: searching.search_for(tx, model, person, what, now=road.now, reason=reason)
    )


def ids(found: Found) -> list[int]:
    return [hit.child.child_id for hit in found.hits]


def fill(road: Road) -> None:
    while road.store.write_now(search.fill):
        pass


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    "typed",
    [
        "amara", "amarah okonkwo", "okonkwo-bright", "bright amara", "Амара", "amara 14", "born 4 march 2012",
        "4/3/2012", "sw9 8pr", "sw9", "coldharbour lane", "14 coldharbour lane", "stockwell park",
        "amara 2012 stockwell",
        "07700 900123", "ending 900123", "upn a123456789012", "kx-4711", "registry id KX-4711",
        "amara petrauskas 4/3/2012",
    ],
)  # fmt: skip
def test_any_part_of_what_is_known_finds_the_child(road: Road, typed: str, indexed: bool) -> None:
    known = msgspec.structs.replace(AMARA, phone="07700 900123", upn="A123456789012")
    meant = road.child(known, registry_id="KX-4711")
    road.child(JONAS)
    if indexed:
        fill(road)
    assert ids(look(road, typed))[:1] == [meant]


def test_fields_find_as_the_box_does(road: Road) -> None:
    meant = road.child(AMARA)
    road.child(JONAS)
    for fields in (
        {"given_names": "Amara"}, {"family_name": "Bright"}, {"born": "14"}, {"born": "4.3.2012"},
        {"home": "14 Coldharbour Lane"}, {"home": "SW9"}, {"school": "Stockwell Park"}, {"reference": str(meant)},
    ):  # fmt: skip
        assert ids(look(road, from_fields(**fields)))[:1] == [meant], fields


def test_the_model_ranks_and_says_why(road: Road) -> None:
    twin, meant = road.child(TWIN), road.child(AMARA)
    fill(road)
    found = look(road, WHOLE)
    assert ids(found)[0] == meant
    best = found.hits[0]
    assert best.probability is not None and best.probability > 0.9
    told = {one.field: (one.outcome, one.words) for one in best.agreements}
    assert told["Date of birth"] == ("agree", "the same day") and told["Family name"][0] == "near"
    # A name alone says nothing of how likely anybody is.
    assert all(hit.probability is None for hit in look(road, "okonkwo").hits)
    assert set(ids(look(road, "okonkwo"))) == {twin, meant}


def test_a_note_is_found_as_soon_as_it_is_taken(road: Road) -> None:
    fill(road)
    child_id = road.child_of(road.officer().writes(VAGUE))
    found = look(road, "jay 13")
    assert ids(found) == [child_id]
    assert found.hits[0].child.standing is Standing.PROVISIONAL and found.hits[0].open_grades


def test_a_record_in_review_is_found_and_a_retired_one_leads_on(road: Road) -> None:
    meant = road.child(AMARA)
    note_id = road.officer().writes(AMARA_VAGUE)
    waiting = road.child_of(note_id)
    assert road.standing_of(waiting) == "awaiting_review"
    for _ in range(2):
        assert set(ids(look(road, "amara stockwell park"))) == {meant, waiting}
        fill(road)
    review = road.review_of(note_id)
    road.store.write_now(
        lambda tx: answering.answer_same(tx, road.world, RIVERA, review.review_id, meant, now=road.now)
    )
    assert road.standing_of(waiting) == "retired"
    for _ in range(2):
        assert ids(look(road, "amara stockwell park")) == [meant]
        assert ids(look(road, f"record {waiting}")) == [meant]
        fill(road)


def test_another_boroughs_child_is_a_borough_to_ask_and_no_more(road: Road) -> None:
    road.child(AMARA, home=LAMBETH)
    fill(road)
    other = somebody("x", borough=CAMDEN)
    found = look(road, WHOLE, other)
    assert (found.hits, found.elsewhere) == ((), (LAMBETH,))
    # Too little to know one child by tells nothing, and a role that is not told is not told.
    assert look(road, "okonkwo", other).elsewhere == ()
    assert look(road, "14 coldharbour lane", other).elsewhere == ()
    permissions = other.permissions - {"children.search_elsewhere"}
    assert look(road, WHOLE, msgspec.structs.replace(other, permissions=permissions)).elsewhere == ()
    assert ids(look(road, WHOLE, somebody("gaffer", "force_duty_officer", None))) != []
    assert ids(look(road, WHOLE, somebody("bcu", "duty_inspector", None, unit="AS"))) != []


def test_a_child_of_two_boroughs_is_seen_from_both(road: Road) -> None:
    meant = road.child(AMARA, home=LAMBETH, school_borough=SOUTHWARK)
    assert ids(look(road, WHOLE, somebody("x", borough=SOUTHWARK))) == [meant]


@pytest.mark.parametrize("indexed", [False, True])
def test_a_restricted_record_is_found_with_permission_and_reason_alone(road: Road, indexed: bool) -> None:
    secret = road.child(AMARA, restricted=True)
    if indexed:
        fill(road)
    scrutiny = somebody("team", "scrutiny", None)
    for typed in (WHOLE, f"record {secret}", "sw9 8pr"):
        assert look(road, typed) == msgspec.structs.replace(
            look(road, typed), hits=(), elsewhere=(), fitting=0, asks_reason=True
        )
        assert look(road, typed, somebody("x", borough=CAMDEN)).elsewhere == ()
        assert look(road, typed, somebody("x", borough=CAMDEN), REASON).elsewhere == ()
        assert look(road, typed, scrutiny, REASON).hits == ()
        assert not look(road, typed, scrutiny, REASON).asks_reason
        assert ids(look(road, typed, reason="x")) == []
        assert ids(look(road, typed, reason=REASON)) == [secret]
    assert set(road.rows("SELECT child_id, person, reason FROM restricted_reason")) == {
        (secret, "rivera", REASON)
    }


def test_every_record_shown_is_logged_and_nothing_that_was_typed(road: Road) -> None:
    meant = road.child(AMARA)
    road.child(JONAS)
    look(road, WHOLE)
    look(road, WHOLE, somebody("x", borough=CAMDEN))
    look(road, "nobody of that name")
    entries = road.rows(
        "SELECT actor_id, kind, ids, reason FROM audit_entry WHERE verb = 'consultation' ORDER BY 1"
    )
    assert entries == [
        ("rivera", "child", f'["{meant}"]', "search"),
        ("x", "child", f'["{meant}"]', "search: borough only"),
    ]
    assert road.count("search_use") == 3


def test_too_many_ask_for_one_more_fact_and_show_the_nearest(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "CANDIDATES_MAX", 3)
    away = [road.child(Subject(given_names="Amara", family_name=f"Bell{at}"), home=CAMDEN) for at in range(9)]
    near = [road.child(Subject(given_names="Amara", family_name=f"Cook{at}")) for at in range(2)]
    fill(road)
    found = look(road, "amara")
    assert (found.fitting, set(ids(found)), found.alerted_only) == (11, set(near), False)
    more = [road.child(Subject(given_names="Amara", family_name=f"Dean{at}")) for at in range(2)]
    worried = road.officer().writes(Subject(given_names="Amara", family_name="Dean1"))
    fill(road)
    road.store.write_now(
        lambda tx: tx.execute(
            "UPDATE alert SET child_id = :c WHERE alert_id = (SELECT MAX(alert_id) FROM alert)",
            {"c": more[1]},
        )
    )
    found = look(road, "amara")
    assert found.alerted_only and found.fitting > 3 and ids(found) == [more[1]], worried
    assert found.elsewhere == () and not set(ids(found)) & set(away)
    assert all(hit.probability is None for hit in found.hits)


def test_an_age_alone_is_no_answer_where_more_was_asked(road: Road) -> None:
    meant = road.child(AMARA)
    assert look(road, "zzigmund 13").hits == () and ids(look(road, "13")) == [meant]


def test_a_queue_longer_than_is_looked_through_is_told(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = road.child(AMARA), road.child(AMARA)
    assert not look(road, "amara").incomplete
    monkeypatch.setattr(search, "UNINDEXED_READ_MAX", 1)
    found = look(road, "amara")
    assert found.incomplete and ids(found) == [last]
    fill(road)
    assert not look(road, "amara").incomplete and set(ids(look(road, "amara"))) == {first, last}


def test_who_may_not_search_does_not(road: Road) -> None:
    road.child(AMARA)
    for person in (somebody("officer", "ward_officer"), somebody("boss", "administrator", None)):
        with pytest.raises(NotAllowed):
            look(road, "amara", person)
    assert road.count("search_use") == 0


def test_nothing_asked_finds_nobody_and_costs_no_search(road: Road) -> None:
    road.child(AMARA)
    assert look(road, "  ").hits == () and road.count("search_use") == 0


def test_the_limit_is_for_each_person(road: Road) -> None:
    for _ in range(search.SEARCHES_PER_MINUTE_MAX):
        look(road, "amara")
    with pytest.raises(SearchedTooOften):
        look(road, "amara")
    look(road, "amara", somebody("another"))


def test_no_more_than_twenty_are_shown_and_the_rest_is_counted(road: Road) -> None:
    for at in range(searching.HITS_MAX + 3):
        road.child(Subject(given_names="Amara", family_name=f"Bell{at}"))
    found = look(road, "amara")
    assert (len(found.hits), found.more) == (searching.HITS_MAX, 3)


def test_the_registry_can_change_a_child_and_the_old_words_find_nobody(road: Road) -> None:
    child_id = road.child(AMARA)
    fill(road)
    moved = child.Details(given_names="Tomasz", family_name="Zielinski")
    road.registry_says(child_id, moved)
    for _ in range(2):
        assert ids(look(road, "zielinski")) == [child_id]
        assert ids(look(road, "amara okonkwo")) == []
        fill(road)


def merge(road: Road, one: int, other: int) -> None:
    gaffer = somebody("gaffer", "force_duty_officer")
    road.store.write_now(
        lambda tx: merging.merge(
            tx,
            road.worlds.current(tx),
            gaffer,
            one,
            other,
            now=road.now,
            reason="the same",
            access_reason="Strategy discussion today",
        )
    )


def test_a_merged_child_is_one_hit_found_by_what_either_record_says(road: Road) -> None:
    kept = road.child(AMARA)
    other = road.child(msgspec.structs.replace(AMARA, given_names="Amarachi", postcode="N1 9GU"), home=CAMDEN)
    camden = somebody("camden", borough=CAMDEN)
    assert ids(look(road, "amara okonkwo bright", camden)) == [other]
    merge(road, kept, other)
    for indexed in (False, True):
        for typed in ("amara okonkwo bright", "amarachi okonkwo bright"):
            assert ids(look(road, typed)) == [kept], (indexed, typed)
            assert ids(look(road, typed, camden)) == [kept]
        fill(road)


def test_one_restricted_record_hides_every_record_of_the_child(road: Road) -> None:
    one = road.child(AMARA)
    other = road.child(msgspec.structs.replace(AMARA, given_names="Amarachi"), restricted=True)
    assert ids(look(road, "amara okonkwo bright")) == [one]
    merge(road, one, other)
    for person in (RIVERA, somebody("camden", borough=CAMDEN)):
        found = look(road, "amara okonkwo bright", person)
        assert found.hits == () and found.elsewhere == ()
