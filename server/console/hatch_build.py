"""Build hook: `pip install -e .` and every wheel contain the console's built assets.

In pyproject.toml:

    [tool.hatch.build.hooks.custom]
    path = "server/console/hatch_build.py"

The project is not importable at that moment, so `assets.py` is loaded by its path.
"""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class AssetsHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own examples leave it bare
    """Builds `static/vendor/` before files are collected. A source archive carries inputs, not outputs."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            return
        script = Path(self.root) / "server" / "console" / "assets.py"
        spec = importlib.util.spec_from_file_location("earlysign_console_assets", script)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(f"{script} is missing: build from a full checkout.")
        assets = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(assets)
        assets.build()
