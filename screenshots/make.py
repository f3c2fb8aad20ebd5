"""Takes the pictures in this folder from the running product: `python screenshots/make.py`.

Needs `pip install resvg-py` and a monospaced font with braille (DejaVu Sans Mono) for the PNG files.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import resvg_py

from ibtui.config import RunConfig, WatchOptions
from ibtui.run.client import WorkerClient
from ibtui.run.job import new_job
from ibtui.run.protocol import Stop
from ibtui.ui.app import IbtuiApp

HERE = Path(__file__).parent
FONT = "DejaVu Sans Mono"


def picture(name: str, svg: str) -> None:
    """Write a screen as SVG and PNG. The font is the reader's own: an SVG must not fetch one."""
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    svg = re.sub(r"font-family: Fira Code[^;]*;", f"font-family: '{FONT}', monospace;", svg)
    (HERE / f"{name}.svg").write_text(svg)
    png = resvg_py.svg_to_bytes(svg_string=svg, zoom=1, monospace_family=FONT, font_family=FONT)
    (HERE / f"{name}.png").write_bytes(bytes(png))
    print(name)


async def live(
    name: str, size: tuple[int, int], epoch: int, keys: Sequence[str], marker: str = "braille"
) -> None:
    """Take a picture of the screen of a run of the default experiment at an epoch."""
    options = WatchOptions(epochs_per_second=0.0, paused=True, marker=marker)
    config = RunConfig(ctx="cpu", epochs=epoch)
    client = WorkerClient(new_job(config, options))
    app = IbtuiApp(client, options)
    async with app.run_test(size=size) as pilot:
        await until(pilot, app, "paused")
        await pilot.press("space")
        await until(pilot, app, "finished")
        await pilot.press(*keys)
        await pilot.pause(1.0)
        picture(name, app.export_screenshot(title="ibtui"))
    client.send(Stop())
    client.close()
    client.wait()


async def until(pilot: object, app: IbtuiApp, state: str) -> None:
    """Wait for a state of the worker."""
    while app.mirror.status is None or app.mirror.status.state != state:
        await pilot.pause(0.05)  # type: ignore[attr-defined]


def report() -> None:
    """Take the figure of `ibtui report` for a recording of the default experiment."""
    with tempfile.TemporaryDirectory() as folder:
        for arguments in (["--record", "run.npz"], ["report", "run.npz", "--out", "report.png"]):
            subprocess.run([sys.executable, "-m", "ibtui", *arguments], check=True, cwd=folder)
        Path(folder, "report.png").replace(HERE / "report.png")
    print("report")


async def main() -> None:
    """Take all pictures of the screen."""
    await live("live-120x40", (120, 40), 2000, ["2"])
    await live("live-80x24", (80, 24), 2000, [])
    await live("density-120x40", (120, 40), 300, ["v", "e", "1"], "block")
    await live("plane-120x40", (120, 40), 2000, ["i"])
    await live("ascii-80x24", (80, 24), 2000, [], "ascii")


if __name__ == "__main__":
    asyncio.run(main())
    report()
