"""What pyproject.toml cannot say: wheels and source archives carry the console's scripts and styles, built."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist


def ensure_assets() -> None:
    """Build them when they are not. Ends the program, saying what is missing, when that is not possible."""
    path = Path(__file__).parent / "tools" / "assets.py"
    spec = importlib.util.spec_from_file_location("assets", path)
    assert spec is not None
    assert spec.loader is not None
    assets = importlib.util.module_from_spec(spec)
    sys.modules["assets"] = assets  # where its dataclasses look for their names
    spec.loader.exec_module(assets)
    try:
        assets.ensure()
    except assets.AssetsError as error:
        sys.exit(f"error: {error}")


class BuildWithAssets(build_py):
    """Copies the packages; an editable installation needs no assets, tools/setup.sh builds them."""

    def run(self) -> None:
        if not self.editable_mode:
            ensure_assets()
        super().run()


class ArchiveWithAssets(sdist):
    """The source archive holds them too, so that it installs where there is no Node."""

    def run(self) -> None:
        ensure_assets()
        super().run()


setup(cmdclass={"build_py": BuildWithAssets, "sdist": ArchiveWithAssets})
