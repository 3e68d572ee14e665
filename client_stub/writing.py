"""From what an officer types to a note: times, categories, a form of questions, and phrases to reconsider."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.prompt import Confirm, Prompt

from sync.holdings import Holdings
from sync.note import Amendment, Note
from sync.vocabulary import CATEGORY_LABELS, Category, phrases_to_reconsider

T = TypeVar("T")

FREE_TEXTS = ("saw_or_heard", "assessment", "voice_of_child", "demeanour", "not_seen_reason", "action_taken")


class WritingProblem(ValueError):
    """What was typed is not a note. The message names the field and says what to write."""


def instant(typed: str, now: datetime.datetime) -> datetime.datetime:
    """A moment with an offset: `14:05` (the last time it was that), `2025-11-03 14:05`, or RFC 3339.

    `now` carries the device's time zone, which a time without an offset is in. Raises WritingProblem.
    """
    text = typed.strip()
    try:
        clock = datetime.time.fromisoformat(text)
        moment = datetime.datetime.combine(now.date(), clock.replace(tzinfo=None), tzinfo=now.tzinfo)
        return moment if moment <= now else moment - datetime.timedelta(days=1)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise WritingProblem("When: write 14:05, or 2025-11-03 14:05.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


class Words(msgspec.Struct, frozen=True):
    """The categories that are offered, by code, with their labels. `newer`: those that this release has no name for;
    they are written all the same, within `vocabulary.beside_newer`."""

    labels: Mapping[str, str]
    newer: Mapping[str, str] = {}


OWN_WORDS = Words({code.value: label for code, label in CATEGORY_LABELS.items()})


def words_sent(holdings: Holdings) -> Words:
    """The words as the server sent them last: a category that it has retired is offered no more. Those of this release
    where it has sent none."""
    row = holdings.get("vocabulary", {}).get(("word_list", "categories"))
    sent = row.data.get("labels") if row is not None else None
    if not isinstance(sent, dict):
        return OWN_WORDS
    own = {code.value: str(sent[code.value]) for code in Category if code.value in sent}
    newer = {str(code): str(label) for code, label in sent.items() if code not in OWN_WORDS.labels}
    return Words(own | newer, newer) if own else OWN_WORDS


def category(typed: str, words: Words = OWN_WORDS) -> str:
    """The code of a category by its code, its label, or the one that begins so. Raises WritingProblem with the list."""
    wanted = "_".join(typed.lower().replace("-", " ").split())
    for found, label in words.labels.items():
        if wanted in (found, label.lower()):
            return found
    starts = [
        found
        for found, label in words.labels.items()
        if wanted and (found.startswith(wanted) or label.lower().startswith(typed.strip().lower()))
    ]
    if len(starts) != 1:
        raise WritingProblem(f"Category: one of {', '.join(words.labels)}.")
    return starts[0]


def build(type_: type[T], fields: Mapping[str, Any]) -> T:
    """A checked `type_` from plain fields, those that are None left out. Raises WritingProblem."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return msgspec.convert(given, type_, strict=False)
    except msgspec.ValidationError as error:
        raise WritingProblem(_plain(error)) from None


def read(type_: type[T], text: bytes) -> T:
    """A checked `type_` from JSON. Raises WritingProblem."""
    try:
        return msgspec.json.decode(text, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WritingProblem(_plain(error)) from None


def _plain(error: Exception) -> str:
    reason, found, path = str(error).rpartition(" - at `")
    if not found:
        return f"The note cannot be read: {error}."
    return f"{path.rstrip('`').removeprefix('$.') or 'The note'}: {reason}."


def advice(body: Note | Amendment) -> list[str]:
    """A sentence for each phrase in the free texts that blames a child. It advises and never blocks."""
    if isinstance(body, Amendment):
        texts = [body.reason, body.text]
        return _advice(texts) + ([] if body.note is None else advice(body.note))
    return _advice([getattr(body, name) for name in FREE_TEXTS])


def _advice(texts: list[str]) -> list[str]:
    found = [(phrase, better) for text in texts for _, phrase, better in phrases_to_reconsider(text)]
    return [f'You wrote "{phrase}". Consider: {better}.' for phrase, better in dict.fromkeys(found)]


def ask_for_note(console: Console, now: datetime.datetime, words: Words = OWN_WORDS) -> dict[str, Any]:
    """The four questions of a note in a minute, and the few that cost nothing. Gives fields of a Note."""
    console.print("[bold]New note.[/bold] Leave a line empty where you do not know.")

    def ask(question: str) -> str | None:
        return Prompt.ask(question, console=console, default="", show_default=False).strip() or None

    subject: dict[str, Any] = {}
    subject["given_names"] = ask("Who: given names")
    subject["family_name"] = ask("Who: family name")
    age = ask("About what age")
    if age is not None:
        subject["approximate_age"] = age
    subject["description"] = ask("Anything that tells this child from another")
    saw = ask("What I saw or heard")
    voice = ask("The child's own words")
    danger = Confirm.ask("Is the child in danger now", console=console, default=False)
    while True:
        try:
            kind = category(ask("Category (the first letters are enough)") or "other", words)
            when = instant(ask("When, if not just now (14:05)") or now.isoformat(), now)
            break
        except WritingProblem as problem:
            console.print(escape(str(problem)))
    place = ask("Where")
    return {
        "observed_at": when.isoformat(),
        "recorded_at": now.isoformat(),
        "category": kind,
        "saw_or_heard": saw or "",
        "voice_of_child": voice or "",
        "danger_now": danger,
        "found_at": None if place is None else {"place": place},
        "subjects": [{name: value for name, value in subject.items() if value is not None}],
    }
