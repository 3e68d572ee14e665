"""The story of `earlysign demo`: from phones with no signal to the person who must know, told and checked.

    setting     a registry of children who do not exist, outlines, people, a server, phones
    before      two missing episodes, weeks apart, dealt with one by one
    the shift   notes written with no signal, then synced over a line that is cut
    the desk    what the server made of them, seen through the doors that people use (`seen.py`)
    the end     counts, the console's address, how to sign in

Server and phones are processes of their own. Every step of `steps.Step` is checked against what the server
answers; only the counts are read from its database.
"""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from server.access.crypto import new_password
from server.audit.verify import verify
from server.demo import counts, ending, stage
from server.demo.cast import DESKS, DUTY_OFFICER, INVESTIGATOR, OFFICERS, NoSuchChild, Story, write_story
from server.demo.desk import Desk
from server.demo.drill import SPEED
from server.demo.phones import Line, Phones
from server.demo.population import SyntheticChild, population
from server.demo.processes import HOST, DemoError, Processes, check_running, free_port, wait_until_ready
from server.demo.seen import Seen, acknowledge, dealt_with, look, watch_escalation
from server.demo.stage import Folder
from server.demo.steps import Report, Step
from server.importing import STAGES
from server.storage import Store

CHILDREN = 20_000
SEED = 2016
PORT = 8000
CUT_SHARE, REPEAT_SHARE, BATCH = 0.3, 0.3, 4
"""A third of all requests are cut, and a third of pushes arrive twice; small pushes, so that there are many."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the demo runs. `once` ends it after the counts."""

    folder: Path
    seed: int = SEED
    children: int = CHILDREN
    port: int = PORT
    once: bool = False


class _Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What the acts share."""

    out: Console
    report: Report
    folder: Folder
    options: Options
    processes: Processes


def run(options: Options, out: Console) -> int:
    """Tell the story. 0: every step happened and nothing was lost; 1 otherwise. Raises DemoError, NoSuchChild."""
    scene = _Scene(
        out=out, report=Report(out), folder=Folder(options.folder), options=options, processes=Processes()
    )
    with scene.folder.made_anew():
        try:
            return _tell(scene)
        except KeyboardInterrupt:
            out.print("\nStopping the server and the phones.")
            raise
        finally:
            scene.processes.stop()


def _tell(scene: _Scene) -> int:
    out, report, options = scene.out, scene.report, scene.options
    started = datetime.datetime.now().astimezone()
    out.print(
        f"[bold]Earlysign, from a phone with no signal to the person who must know.[/bold] SEED={options.seed}"
    )
    out.print("Nobody in this story exists: children, officers and notes are made up from the seed.\n")
    registry = _make_registry(scene, started.date())
    story = write_story(registry, options.seed, started)
    password = new_password()
    with ExitStack() as stack:
        store = stage.open_database(scene.folder)
        stack.callback(store.close_now)
        codes = _set_stage(scene, store, registry, password)
        address, server = _start_server(scene)
        phones = _enrol(scene, address, codes, server)
        rivera = stack.enter_context(Desk(address, INVESTIGATOR.username, password))
        whitfield = stack.enter_context(Desk(address, DUTY_OFFICER.username, password))
        report.check(Step.SIGN_IN, bool(rivera.me["boroughs"]), "through the doors that programs use")
        _before(scene, phones, story, rivera)
        typed = _shift(scene, phones, story)
        written = _sync(scene, phones, store)
        seen = Seen(whitfield, story, typed)
        out.print("\n[bold]At the desks.[/bold] What the server made of it, as people and programs see it.")
        look(seen, rivera, report)
        acknowledge(seen, rivera, report)
        watch_escalation(seen, report, out)
        ending.look_at_console(rivera, seen.alert_of(story.third)["why"], report)
        entries = verify(store)
        report.check(Step.AUDIT, entries.ok, "each entry chained to the one before")
        ending.print_counts(out, counts.count(store), written, started)
    report.summarise()
    lost = written.lost
    if lost:
        out.print(f"[bold red]{lost} notes were lost.[/bold red]")
    good = report.whole and not lost
    if not options.once:
        ending.print_sign_in(out, scene.folder, address, DESKS, password)
        _keep_running(scene, server)
    return 0 if good else 1


def _make_registry(scene: _Scene, today: datetime.date) -> list[SyntheticChild]:
    with _bars(scene.out) as bar:
        task = bar.add_task("Making up children", total=scene.options.children)
        registry = []
        for child in population(scene.options.seed, scene.options.children, today):
            registry.append(child)
            if len(registry) % stage.PROGRESS_EVERY == 0:
                bar.update(task, completed=len(registry))
        bar.update(task, completed=len(registry))
        return registry


def _set_stage(scene: _Scene, store: Store, registry: list[SyntheticChild], password: str) -> list[str]:
    """Registry, outlines and people; the enrolment codes of the phones."""
    stage.write_files(scene.folder, registry)
    with _bars(scene.out) as bar:
        tasks = {name: bar.add_task(title, total=None) for name, title in STAGES.items()}
        done = stage.load_registry(
            store, scene.folder, lambda name, rows, of: bar.update(tasks[name], completed=rows, total=of)
        )
    scene.report.check(Step.REGISTRY, done.added == len(registry), f"{done.added:,} children of London")
    areas = stage.load_outlines(store, scene.folder)
    scene.out.print(
        f"  Outlines of {areas} boroughs loaded. They are coarse: discs well inside each borough."
    )
    stage.add_people(store, [*DESKS, *OFFICERS], password)
    return stage.make_codes(store, OFFICERS)


def _start_server(scene: _Scene) -> tuple[str, subprocess.Popen[bytes]]:
    folder, wanted = scene.folder, scene.options.port
    port = free_port(wanted)
    if port != wanted:
        scene.out.print(f"  Port {wanted} is taken on this machine, so the server uses {port}.")
    address = f"http://{HOST}:{port}"
    server = scene.processes.start(
        ["server.cli", "serve", "--data", str(folder.data), "--host", HOST, "--port", str(port)],
        environment={"EARLYSIGN_RULES": str(folder.rules), "EARLYSIGN_LOG_LEVEL": "warning"},
        out=folder.server_log,
    )
    with scene.out.status("Starting the server"):
        wait_until_ready(address, server, folder.server_log)
    scene.report.check(Step.SERVER, True, f"{address}, one process, SQLite in {folder.data}")
    return address, server


def _enrol(scene: _Scene, address: str, codes: list[str], server: subprocess.Popen[bytes]) -> Phones:
    passphrases = [new_password() for _ in OFFICERS]
    phones = Phones(
        scene.processes,
        scene.folder.phones,
        [who.username for who in OFFICERS],
        passphrases,
        lambda: check_running(server, scene.folder.server_log),
    )
    with _one_bar(scene.out, "Enrolling phones", len(codes)) as done:
        phones.enrol(address, codes, done)
    states = phones.status()
    scene.report.check(
        Step.PHONES,
        all(state["enrolled"] and state["protection"] == "passphrase" for state in states),
        f"{len(states)} phones of schools and ward officers, each a process and a store of its own",
    )
    return phones


def _before(scene: _Scene, phones: Phones, story: Story, rivera: Desk) -> None:
    scene.out.print(
        "\n[bold]Before.[/bold] Two officers write up a missing episode each from their notebooks."
    )
    phones.write(story.first, lambda _: None)
    phones.sync({note.phone: Line() for note in story.first}, lambda _: None)
    dealt_with(rivera, story, scene.report)


def _shift(scene: _Scene, phones: Phones, story: Story) -> str:
    """Everybody writes with no signal; the id of the note that was typed."""
    scene.out.print("\n[bold]The shift.[/bold] Six officers write with no signal. Nothing can be sent.")
    with _one_bar(scene.out, "Phones that have written", len(phones)) as done:
        summaries = phones.write(story.shift, done)
        typed = phones.type_note(0, story.vague)
    waiting = sum(int(summary["waiting"]) for summary in summaries) + 1
    scene.report.check(
        Step.NO_SIGNAL, waiting == len(story.shift) + 1, f"{waiting} notes wait, none has left its phone"
    )
    return typed


def _sync(scene: _Scene, phones: Phones, store: Store) -> ending.Written:
    """All phones sync at once over a bad line; what they say of it, against what the server has."""
    report, seed = scene.report, scene.options.seed
    scene.out.print(
        "\n[bold]Signal.[/bold] All phones sync at once, over a line that is cut again and again."
    )
    before = counts.count_notes(store)
    lines = {
        phone: Line(cut=CUT_SHARE, repeat=REPEAT_SHARE, batch=BATCH, seed=seed + phone)
        for phone in range(len(phones))
    }
    waiting = sum(int(state["waiting"]) for state in phones.status())
    with _bars(scene.out) as bar:
        arriving = bar.add_task("Notes at the server", total=waiting)
        finishing = bar.add_task("Phones that are done", total=len(phones))

        def show(finished: int) -> None:
            bar.update(arriving, completed=counts.count_notes(store) - before)
            bar.update(finishing, completed=finished)

        summaries = phones.sync(lines, show)
    total = {
        name: sum(int(s[name]) for s in summaries)
        for name in ("cuts", "retries", "repeats", "sent", "requests")
    }
    report.check(Step.CUT, total["cuts"] > 0, f"{total['cuts']} times in {total['requests']} requests")
    report.check(Step.TWICE, total["repeats"] > 0, f"{total['repeats']} pushes sent a second time on purpose")
    states = phones.status()
    report.check(
        Step.ALL_SENT,
        all(s["all_sent"] for s in summaries) and all(s["all_sent"] for s in states),
        f"{total['retries']} retries",
    )
    written = [str(note["id"]) for state in states for note in state["notes"]]
    arrived = counts.note_ids(store)
    lost = len(set(written) - set(arrived))
    once = not lost and len(arrived) == len(set(arrived)) == len(written)
    report.check(Step.ONCE, once, f"{len(written)} written, {len(arrived)} received, {lost} lost")
    heard = len({note["id"] for state in states for note in state["notes"] if note["became"]})
    report.check(Step.HEARD, heard == len(written), f"{heard} answers pulled")
    return ending.Written(written=len(written), lost=lost, **total)


def _keep_running(scene: _Scene, server: subprocess.Popen[bytes]) -> None:
    out = scene.out
    out.print("\nThe server keeps running so that you can look. [bold]Ctrl-C[/bold] ends it.")
    try:
        server.wait()
    except KeyboardInterrupt:
        out.print("\nStopping the server.")
        return
    check_running(server, scene.folder.server_log)


def _bars(out: Console) -> Progress:
    return Progress(
        TextColumn("  {task.description:<26}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out,
    )


@contextmanager
def _one_bar(out: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar; gives the function that is told how many are done."""
    with _bars(out) as bar:
        task = bar.add_task(title, total=total)
        yield lambda completed: bar.update(task, completed=completed)


__all__ = ["CHILDREN", "PORT", "SEED", "SPEED", "DemoError", "NoSuchChild", "Options", "run"]
