"""What the demo must show: each step by name, whether it happened, and the report at the end."""

from __future__ import annotations

from enum import Enum

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Step(Enum):
    """The steps of the story. One that is not reached counts as one that failed."""

    REGISTRY = "The registry of synthetic children is imported"
    SERVER = "The server runs and is ready"
    SIGN_IN = "An investigator and the force duty officer sign in"
    PHONES = "Every phone is enrolled and encrypted"
    ONE_BY_ONE = "Two missing episodes, weeks apart, are dealt with one by one"
    NO_SIGNAL = "Notes are written with no signal and kept on the phones"
    CUT = "The line is cut while phones send"
    TWICE = "Batches arrive twice"
    ALL_SENT = "Every phone finishes: the server has signed for every note"
    ONCE = "Every note is at the server, exactly once"
    HEARD = "Every phone hears what became of its notes"
    AREAS = "Positions become boroughs"
    LINKED = "A full description is linked to the right child"
    TWIN = "A twin's note stands on that twin"
    SIBLING = "A brother who is not on the registry is linked to nobody"
    REVIEW = "A vague note goes to review with the right candidate"
    UNKNOWN = "An unknown child, noted by two phones, becomes one provisional child"
    INCIDENT = "Two officers' notes of one incident count once"
    REPEAT = "The third missing episode is seen across two officers and two wards"
    LATE = "A note whose clock was spent before it arrived says so"
    ACKNOWLEDGED = "An investigator acknowledges an alert"
    ESCALATED = "An alert that nobody acknowledges climbs to the force duty officer"
    CONSOLE = "The console shows the queue to a person who signs in"
    AUDIT = "The audit trail is whole"


class Outcome(msgspec.Struct, frozen=True):
    """How a step ended; `detail` holds numbers and sentences of rules, and what was wrong."""

    happened: bool
    detail: str


class Report:
    """Which steps happened. Says each as it is known."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._outcomes: dict[Step, Outcome] = {}

    def check(self, step: Step, happened: bool, detail: str = "") -> bool:
        """Record how a step ended, and say so. A step that failed once stays failed."""
        before = self._outcomes.get(step)
        if before is not None and not before.happened:
            return False
        self._outcomes[step] = Outcome(happened, detail)
        mark = "[green]✓[/green]" if happened else "[bold red]✗[/bold red]"
        more = f" [dim]{escape(detail)}[/dim]" if detail else ""
        self._out.print(f"  {mark} {step.value}.{more}", soft_wrap=True)
        return happened

    @property
    def failed(self) -> list[Step]:
        """Steps that were reached and did not go well."""
        return [step for step in Step if step in self._outcomes and not self._outcomes[step].happened]

    @property
    def missing(self) -> list[Step]:
        """Steps that were never reached."""
        return [step for step in Step if step not in self._outcomes]

    @property
    def whole(self) -> bool:
        """Whether every step happened."""
        return not self.failed and not self.missing

    def summarise(self) -> None:
        """Say how many steps happened, and name those that did not."""
        if self.whole:
            self._out.print(f"[green]All {len(Step)} steps happened.[/green]")
            return
        wrong = len(self.failed) + len(self.missing)
        title = "One step did not happen" if wrong == 1 else f"{wrong} steps did not happen"
        table = Table("Step", "What happened", title=title)
        for step in self.failed:
            table.add_row(step.value, escape(self._outcomes[step].detail or "it failed"))
        for step in self.missing:
            table.add_row(step.value, "it was not reached")
        self._out.print(table)
