"""The words of a message to a person's own phone or mailbox: they name nobody."""

from __future__ import annotations

from server.alerts.channels import Message

DIGEST = "digest"
WHAT = {
    "raised": "A new alert",
    "grew": "An alert has grown",
    "escalated": "Nobody has answered an alert",
    "handed_over": "An alert was given to you",
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
