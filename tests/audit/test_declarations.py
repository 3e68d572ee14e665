"""Every public function of `server/records/` declares what it does to personal data."""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
import types
from collections.abc import Iterator

import msgspec

from server.audit import Verb, audited, declaration, impersonal
from server.audit import queries as audit_queries
from server.storage import Transaction

PACKAGE = "server.records"


def modules_of(package: str) -> Iterator[types.ModuleType]:
    """The package and all modules below it; none where there is no such package."""
    try:
        found = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        return
    yield found
    for info in pkgutil.walk_packages(found.__path__, f"{package}."):
        yield importlib.import_module(info.name)


def undeclared(module: types.ModuleType) -> list[str]:
    """Public functions defined in a module, and public methods that take a transaction, that
    declare nothing."""
    missing = []
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(thing):
            if issubclass(thing, msgspec.Struct | enum.Enum | BaseException):
                continue
            missing += [
                f"{module.__name__}.{name}.{method}"
                for method, function in inspect.getmembers(thing, inspect.isfunction)
                if not method.startswith("_") and takes_tx(function) and declaration(function) is None
            ]
        elif inspect.isroutine(thing) and declaration(thing) is None:
            missing.append(f"{module.__name__}.{name}")
    return missing


def takes_tx(function: types.FunctionType) -> bool:
    return "tx" in inspect.signature(function).parameters


def test_every_repository_function_declares_its_verb() -> None:
    missing = [name for module in modules_of(PACKAGE) for name in undeclared(module)]
    assert not missing, "put @audited(Verb...) or @impersonal('why') on: " + ", ".join(missing)


def test_the_trail_s_own_queries_declare_theirs() -> None:
    declared = [
        function
        for _, function in inspect.getmembers(audit_queries, inspect.isfunction)
        if function.__module__ == audit_queries.__name__
        and takes_tx(function)
        and not function.__name__.startswith("_")
    ]
    assert len(declared) == 2 and all(declaration(function) is not None for function in declared)


def test_a_function_that_declares_nothing_is_found() -> None:
    module = types.ModuleType("server.records.made_up")

    def forgotten(tx: Transaction) -> list[str]:
        return []

    def _private(tx: Transaction) -> None: ...

    @audited(Verb.CONSULTATION)
    def shown(tx: Transaction) -> None: ...

    @impersonal("shows nothing")
    def counted(tx: Transaction) -> None: ...

    class Repository:
        def forgotten_too(self, tx: Transaction) -> None: ...

        def helper(self) -> None: ...

    class Shape(msgspec.Struct):
        def of(self, tx: Transaction) -> None: ...

    def imported(tx: Transaction) -> None: ...

    for thing in (forgotten, _private, shown, counted, Repository, Shape):
        thing.__module__ = module.__name__
        setattr(module, thing.__name__, thing)
    setattr(module, "imported", imported)  # noqa: B010 - a module made here has no such attribute to mypy
    assert undeclared(module) == [
        "server.records.made_up.forgotten",
        "server.records.made_up.Repository.forgotten_too",
    ]


def test_no_package_is_no_failure() -> None:
    assert list(modules_of("server.no_such_room")) == []
