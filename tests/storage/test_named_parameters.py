"""`:name` becomes `%(name)s` or `?`, and nothing else changes its meaning."""

from __future__ import annotations

from typing import Any

import pytest

from server.storage.named_parameters import TEXTS_MAX, positional, translated


@pytest.mark.parametrize(
    ("portable", "expected"),
    [
        ("SELECT :a, :b_2", "SELECT %(a)s, %(b_2)s"),
        ("SELECT :a, x::bigint, ':b', \":c\"", "SELECT %(a)s, x::bigint, ':b', \":c\""),
        ("SELECT :a WHERE b LIKE '50%'", "SELECT %(a)s WHERE b LIKE '50%%'"),
        ("SELECT :a % 2", "SELECT %(a)s %% 2"),
        ("SELECT :a -- not :b\n, :c /* nor :d */", "SELECT %(a)s -- not :b\n, %(c)s /* nor :d */"),
        ("SELECT 'it''s :a', :b", "SELECT 'it''s :a', %(b)s"),
        ("SELECT $$:a$$, $x$:b $$ $x$, :c", "SELECT $$:a$$, $x$:b $$ $x$, %(c)s"),
        ("SELECT a[1:2], :b", "SELECT a[1:2], %(b)s"),
        ("SELECT ':a'", "SELECT ':a'"),
        ("SELECT 5 % 2, '%'", "SELECT 5 % 2, '%'"),
    ],
)
def test_parameters_and_only_they_are_translated(portable: str, expected: str) -> None:
    found = translated(portable)
    assert found.text == expected
    assert found.has_parameters is ("%(" in expected)


def test_a_question_for_null_is_answered_beforehand() -> None:
    found = translated("SELECT 1 WHERE :a IS NULL OR :b is  not null OR c IS NULL OR c = :a")
    assert found.text == (
        "SELECT 1 WHERE (%(a is null)s::int = 1) OR (%(b is null)s::int = 0) OR c IS NULL OR c = %(a)s"
    )
    assert found.bound({"a": None, "b": 5}) == {"a": None, "b": 5, "a is null": 1, "b is null": 0}


@pytest.mark.parametrize("translation", [translated, positional])
def test_translations_are_kept_up_to_a_limit(translation: Any) -> None:
    assert translation("SELECT :a") is translation("SELECT :a")
    assert translation.cache_parameters()["maxsize"] == TEXTS_MAX


@pytest.mark.parametrize(
    ("portable", "expected", "values"),
    [
        ("SELECT :a, :b_2, :a", "SELECT ?, ?, ?", (1, 2, 1)),
        ("SELECT :b_2", "SELECT ?", (2,)),
        ("SELECT ':a', \":b_2\" -- :a\n, 5 % 2", "SELECT ':a', \":b_2\" -- :a\n, 5 % 2", ()),
        (
            "SELECT 1 WHERE :a IS NULL OR :b_2 is  not null",
            "SELECT 1 WHERE ? IS NULL OR ? is  not null",
            (1, 2),
        ),
    ],
)
def test_sqlite_takes_values_in_the_order_of_their_places(
    portable: str, expected: str, values: tuple[int, ...]
) -> None:
    found = positional(portable)
    assert found.text == expected
    assert found.values({"a": 1, "b_2": 2, "more": 3}) == values


def test_a_parameter_without_a_value_is_named() -> None:
    for portable in ("SELECT :a", "SELECT :b, :a"):
        with pytest.raises(KeyError, match="'a'"):
            positional(portable).values({"b": 1})
