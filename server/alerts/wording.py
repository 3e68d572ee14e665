"""The words of a message to a person's own phone or mailbox: they name nobody."""

from __future__ import annotations

from server.alerts.channels import Message

DIGEST = "digest"
WHAT = {
    "raised": "A new alert",
    "grew": "An alert has grown",
    "escalated": "Nobody has answered an alert",
    "handed_over": "An alert was given to you",
    "passed_on": "The owner of an alert is away or gone: it waits for an answer again",
    "graded": "A person has changed the grade of an alert",
    "offered": "Another borough asks you to take an alert",
    "transfer_refused": "Another borough did not take an alert: it stays with you",
    "transfer_taken_back": "An alert that was offered to you was taken back",
    "transferred": "Another borough has taken an alert",
    "lessened": "Part of what an alert says does not hold any more",
    "closed": "An alert was closed",
    "joined": "The record of an alert was joined with another",
    "separated": "The record of an alert was taken apart from another",
}


def link_of(message: Message, base_url: str) -> str:
    """Where those who may see more sign in."""
    return f"{base_url}/alerts" if message.kind == DIGEST else f"{base_url}/alerts/{message.alert_id}"


def title_of(message: Message) -> str:
    """One line: the grade and the borough, or how many."""
    if message.kind == DIGEST:
        return f"{message.count} alerts of the day" if message.count != 1 else "1 alert of the day"
    return f"{message.grade.capitalize()} alert, {message.place}"


def lines_of(message: Message, base_url: str) -> list[str]:
    """The message whole."""
    said = WHAT.get(message.kind, "An alert has changed")
    if message.kind == DIGEST:
        said = "These are not urgent. Each is on the page, with its clock"
    return [f"{said}.", link_of(message, base_url), "", "Sign in to see more. This message names nobody."]
