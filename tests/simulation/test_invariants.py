"""Every invariant is named by a test that holds it, and no test names one that there is not."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests.simulation.invariants import INVARIANTS

TESTS = Path(__file__).parents[1]


def named() -> dict[int, set[str]]:
    """By invariant: the tests marked with it. Read from the sources, so that slow tests count too."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.invariant":
                    for number in mark.args:
                        found[ast.literal_eval(number)].add(f"{path.relative_to(TESTS)}::{node.name}")
    return found


def test_every_invariant_is_named_by_a_test_that_holds_it() -> None:
    tests = named()
    assert sorted(INVARIANTS) == list(range(1, 18))
    assert sorted(tests) == sorted(INVARIANTS), "an invariant without a test, or a test of none"
    for number, rule in INVARIANTS.items():
        print(f"{number:2} {rule}\n   " + "\n   ".join(sorted(tests[number])))


def test_the_marks_are_on_tests() -> None:
    for tests in named().values():
        for test in tests:
            assert test.partition("::")[2].startswith("test_") or test.endswith("Machine"), test
