"""Every test has a home, a runtime folder and a working folder of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SUMMARY = pytest.StashKey[list[str]]()
"""Lines that tests want told at the end, such as by how much the machine let them compare."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(SUMMARY, []):
        terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Compiled code is kept from one run of the tests to the next, and not with the user's."""
    cache = getattr(config, "cache", None)
    os.environ["NUMBA_CACHE_DIR"] = str(cache.mkdir("compiled") if cache else tempfile.mkdtemp("ibtui"))


@pytest.fixture(scope="session")
def font_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Matplotlib keeps what takes it seconds to find out about fonts: once for all tests."""
    return tmp_path_factory.mktemp("matplotlib")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, font_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="ib") as runtime:  # short: a socket's path has a limit
        os.chmod(runtime, 0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        home = Path(runtime, "home")  # where what cannot be saved elsewhere goes
        home.mkdir()
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("MPLCONFIGDIR", str(font_cache))
        monkeypatch.chdir(tmp_path)
        root = str(Path(__file__).parent.parent)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))
        yield
