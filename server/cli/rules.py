"""`earlysign rules`: check a rule pack, put it in force, and see what it would have done."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from server import replaying
from server.app import make_pack
from server.casework.pack import Pack, PackError, default_pack_text, load_pack
from server.casework.telling_rules import chain_in_words, rule_in_words, terms_in_words
from server.casework.words import hours_in_words
from server.cli.common import (
    CommandError,
    DataOption,
    day_of,
    examples,
    make_typer,
    open_database,
    operator,
    out,
    policy_from,
    say,
    settings_from,
)
from server.cli.progress import Steps
from server.clock import now_ms
from server.jobs.escalation import check_roles
from server.records import in_force
from server.records.in_force import Kind
from server.replaying import Tally
from server.settings import Settings
from server.storage import Store
from server.world import Worlds
from sync.vocabulary import Grade

CHILDREN_SHOWN = 10
FileArgument = Annotated[Path | None, typer.Argument(help="A rule pack in TOML.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = make_typer("Check, change and try out the rules: flags, grades, clocks, escalation.")
    group.command("check", epilog=examples("earlysign rules check", "earlysign rules check new.toml"))(check)
    group.command("reload", epilog=examples("earlysign rules reload new.toml"))(reload)
    group.command("show", epilog=examples("earlysign rules show"))(show)
    group.command("explain", epilog=examples("earlysign rules explain 4711"))(explain)
    group.command("replay", epilog=examples("earlysign rules replay --since 2026-01-01 --pack new.toml"))(
        replay
    )
    app.add_typer(group, name="rules")


def check(file: FileArgument = None, data: DataOption = None) -> None:
    """Say whether a rule pack can be used, and if not, on which line it is wrong and why.

    Without a file: the pack that the server would start with.
    """
    pack, _ = read_pack(settings_from(data), file)
    say(
        f"[green]Good.[/green] Version {escape(pack.version)}: {len(pack.rules)} rules,"
        f" {len(pack.clocks.presets)} clock presets."
    )


def reload(file: FileArgument = None, data: DataOption = None) -> None:
    """Put a rule pack in force: in every process of the server, from its next transaction on.

    Without a file: the one of EARLYSIGN_RULES, or the one that ships. The pack is kept in the database and holds
    until another is loaded, also after a restart. A child's flags follow it when something next changes about
    the child; those raised before keep the version that raised them until then.
    """
    settings = settings_from(data)
    pack, text = read_pack(settings, file)
    actor, now = operator(), now_ms()
    with open_database(settings) as store:
        before = pack_of(store, settings)
        store.write_now(lambda tx: in_force.put(tx, actor, Kind.RULES, pack.version, text, now=now))
    say(f"In force: [bold]{escape(pack.version)}[/bold], where it was {escape(before.version)}.")


def show(data: DataOption = None) -> None:
    """Show the rules in force: their version, since when and by whom, each rule, and the clocks."""
    settings = settings_from(data)
    with open_database(settings) as store:
        pack = pack_of(store, settings)
        history = store.read_now(lambda tx: in_force.history(tx, Kind.RULES))
    if history:
        say(f"In force: [bold]{escape(pack.version)}[/bold]")
        for loaded in history:
            say(f"  {_when(loaded.loaded_at)}  {escape(loaded.version)}, by {escape(loaded.loaded_by)}")
    else:
        where = settings.rules.name if settings.rules else "the pack that ships"
        say(f"In force: [bold]{escape(pack.version)}[/bold], from {escape(where)}")
    rules = Table("Rule", "Grade", "Says", "Proposes")
    for rule in pack.rules:
        rules.add_row(rule.name, rule.grade.value, escape(rule_in_words(rule)), rule.proposes or "")
    out.print(rules)
    clocks = Table("Clocks", *(grade.value for grade in reversed(Grade)), "Boroughs")
    for name, preset in pack.clocks.presets.items():
        boroughs = [code for code, chosen in pack.clocks.boroughs.items() if chosen == name]
        if name == pack.clocks.preset:
            boroughs.append("all others")
        hours = [
            hours_in_words(preset.hours(grade), grade in preset.working_hours) for grade in reversed(Grade)
        ]
        clocks.add_row(escape(preset.label), *hours, ", ".join(boroughs))
    out.print(clocks)
    policy = policy_from(settings)
    for grade in reversed(Grade):
        chain = chain_in_words(pack, grade, lambda role: policy.roles[role].title)
        say(f"{grade.value.capitalize()}, while nobody answers: {escape(chain)}")
    for said in terms_in_words(pack):
        say(f"School terms, {escape(said)}")


def explain(
    child: Annotated[int, typer.Argument(help="The child's number, as in the console's address.")],
    data: DataOption = None,
) -> None:
    """Print every flag of a child: the rule, its version, the grade, why, and the notes that caused it.

    Then what the rules in force would change. It names nobody, and it is logged.
    """
    settings, now = settings_from(data), now_ms()
    with open_database(settings) as store:
        pack = pack_of(store, settings)
        found = store.read_now(lambda tx: replaying.explain(tx, operator(), child, pack, now=now))
    if found is None:
        raise CommandError("There is no such child here.", "The number is in the console's address.")
    for flag in found.flags:
        say(f"[bold]{escape(flag.sentence)}[/bold] ({flag.grade.value})")
        say(f"  rule {flag.rule} of {escape(flag.rule_version)}, raised {_when(flag.raised_at)}")
        if flag.due_at is not None:
            say(f"  {escape(flag.due_words or 'ends')} {_when(flag.due_at)}")
        if flag.retracted_at is not None:
            say(f"  withdrawn {_when(flag.retracted_at)}: {escape(flag.retraction or '')}")
        for note_id in flag.note_ids:
            say(f"  note {note_id}")
    if not found.flags:
        say("No flag.")
    if not found.changes:
        say(f"The rules in force ({escape(pack.version)}) say the same.")
    for change in found.changes:
        say(f"By the rules in force {change.flag_key} ({change.grade.value}) would be {change.kind.value}.")


def replay(
    since: Annotated[
        str, typer.Option(help="First day, 2026-01-31, of what is looked at.", show_default=False)
    ],
    pack: Annotated[
        Path | None,
        typer.Option(help="A changed pack to try, in place of the one in force.", show_default=False),
    ] = None,
    data: DataOption = None,
) -> None:
    """Say which flags other rules would have raised or dropped since a day, and change nothing.

    With --pack: the changed pack against the one in force, both on the notes that are here. Without it: the pack
    in force against the flags that stand, which other rules may have raised. Counts for each rule, and numbers of
    children; it names nobody, and it is logged.
    """
    settings, now, first = settings_from(data), now_ms(), day_of(since)
    tally, looked = Tally(CHILDREN_SHOWN), 0
    with open_database(settings) as store, Steps() as steps:
        holding = pack_of(store, settings)
        wanted, against = (read_pack(settings, pack)[0], holding) if pack else (holding, None)
        for number, found in replaying.replay(store, operator(), wanted, first, now=now, against=against):
            looked += number
            for change in found:
                tally.add(change)
            steps.tell("Children", looked)
    other = f"against {against.version}" if against else "against the flags that stand"
    say(f"{escape(wanted.version)} {escape(other)}: {looked:,} children, {tally.flags.total():,} changes.")
    if tally.flags:
        out.print(_table(tally))


def _table(tally: Tally) -> Table:
    table = Table("Rule", "Would be", "Flags", "Children, by number")
    for key, number in sorted(tally.flags.items()):
        left = tally.children[key] - len(tally.first[key])
        said = ", ".join(map(str, tally.first[key])) + (f" and {left:,} more" if left else "")
        table.add_row(*key, f"{number:,}", said)
    return table


def read_pack(settings: Settings, file: Path | None) -> tuple[Pack, str]:
    """A pack that can be put in force here, and its text. Raises `CommandError`."""
    path = file or settings.rules
    policy = policy_from(settings)
    try:
        text = path.read_text(encoding="utf-8") if path else default_pack_text()
        pack = load_pack(text, policy.force)
        check_roles(pack, policy, text)
    except (PackError, UnicodeDecodeError) as error:
        name = path.name if path else "The pack that ships"
        why = str(error) if isinstance(error, PackError) else "The file is not UTF-8 text."
        raise CommandError(f"{name}: {why}", "server/casework/rules.toml shows the form.") from None
    return pack, text


def pack_of(store: Store, settings: Settings) -> Pack:
    """The pack that the server uses now."""
    return store.read_now(Worlds(make_pack(settings)).pack_in_force)


def _when(at: int) -> str:
    return datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
