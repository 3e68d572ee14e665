"""`earlysign demo`: the whole road on this machine, with made-up children and phones."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from server.cli.common import CommandError, examples, out
from server.demo import story
from server.demo.story import CHILDREN, PORT, SEED, DemoError, NoSuchChild, Options

FOLDER = Path(".demo")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "demo",
        epilog=examples("earlysign demo", "earlysign demo --once", "earlysign demo --seed 7 --port 8100"),
    )(demo)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End after the counts; exit 1 if anything failed.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same children.")] = SEED,
    children: Annotated[
        int, typer.Option(min=2_000, max=1_000_000, help="Children on the registry.")
    ] = CHILDREN,
    port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Port of the console, or one after it.")
    ] = PORT,
    folder: Annotated[Path, typer.Option(help="Folder of the demo; made anew each time.")] = FOLDER,
) -> int:
    """Show the whole road: a server, a registry of made-up children, and phones that write with no signal.

    Everything runs on this machine and lies in one folder. It ends with the address of the console and how to
    sign in, and keeps running until Ctrl-C. Settings in the environment have no part in it.
    """
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    options = Options(folder=folder, seed=seed, children=children, port=port, once=once)
    try:
        return story.run(options, out)
    except DemoError as error:
        raise CommandError(str(error), error.hint) from None
    except NoSuchChild as error:
        raise CommandError(str(error), "Give more --children, or another --seed.") from None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Being told to stop ends the demo as Ctrl-C does: its processes are stopped first."""
    raise KeyboardInterrupt
