"""Takes the pictures in this folder from the committed recording: `python screenshots/make.py`.

Needs `pip install resvg-py pillow` and a monospaced font with braille (DejaVu Sans Mono) for PNG and GIF.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from screenshots.screens import HERE, RECORDING, SCREENS, Player, app_of, drawn, recording, settled

FONT = "DejaVu Sans Mono"
STORY = (*range(41), *range(44, 101, 4))
"""The epochs of the moving picture."""
FRAME_MS = 180
_COLOURS = 64
_ZOOM = 0.62


def plain(svg: str) -> str:
    """Return an SVG in a font that the reader has: it must not fetch one."""
    svg = re.sub(r'(<text[^>]*) x="([\d.]+)"([^>]*) textLength="([\d.]+)"([^>]*)>([^<]*)</text>', _apart, svg)
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    return re.sub(r"font-family: Fira Code[^;]*;", f"font-family: '{FONT}', monospace;", svg)


def _apart(found: re.Match[str]) -> str:
    """Split a text into braille and the rest, which would be drawn in the font that braille is found in."""
    begin, x, middle, length, end, text = found.groups()
    pieces = re.findall("[\u2800-\u28ff]+|[^\u2800-\u28ff]+", text)
    widths = [len(re.sub(r"&#?\w+;", " ", piece)) for piece in pieces]
    cell, at, made = float(length) / max(sum(widths), 1), float(x), ""
    for piece, width in zip(pieces, widths, strict=True):
        made += f'{begin} x="{at:g}"{middle} textLength="{width * cell:g}"{end}>{piece}</text>'
        at += width * cell
    return made


def pixels(svg: str, zoom: float = 1.0) -> bytes:
    """Return a PNG of an SVG."""
    import resvg_py

    scaled = re.sub(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', _sized(zoom), svg, count=1)
    return bytes(resvg_py.svg_to_bytes(svg_string=scaled, monospace_family=FONT, font_family=FONT))


def _sized(zoom: float) -> Any:
    def put(found: re.Match[str]) -> str:
        width, height = (round(zoom * float(size)) for size in found.groups())
        return f'width="{width}" height="{height}" {found[0]}'

    return put


def record() -> None:
    """Make the recording anew."""
    arguments = [
        "--engine",
        "fused",
        "--ctx",
        "cpu",
        "--epochs",
        "400",
        "--history-mb",
        "1",
        "--record",
        str(RECORDING),
        "--force",
    ]
    subprocess.run([sys.executable, "-m", "ibtui", *arguments], check=True)


def report() -> None:
    """Take the figure of `ibtui report` for a recording of the default experiment."""
    with tempfile.TemporaryDirectory() as folder:
        for arguments in (["--record", "run.npz"], ["report", "run.npz", "--out", "report.png"]):
            subprocess.run([sys.executable, "-m", "ibtui", *arguments], check=True, cwd=folder)
        Path(folder, "report.png").replace(HERE / "report.png")
    print("report")


async def stills() -> None:
    """Take the pictures, and write the texts that a test compares."""
    for screen in SCREENS:
        text, svg = await drawn(screen)
        (HERE / f"{screen.name}.txt").write_text(text)
        (HERE / f"{screen.name}.png").write_bytes(pixels(plain(svg)))
        print(screen.name)


async def moving() -> None:
    """Take the moving picture of the first hundred epochs."""
    from PIL import Image

    player = Player(recording())
    player.go_to(0)
    app, frames = app_of(player, "braille"), []
    async with app.run_test(size=(120, 40)) as pilot:
        for epoch in STORY:
            player.go_to(epoch)
            await settled(app, pilot, epoch)
            svg = plain(app.export_screenshot(title="ibtui"))
            image = Image.open(io.BytesIO(pixels(svg, _ZOOM))).convert("RGB")
            frames.append(image.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))
    path = HERE / "story.gif"
    times = [FRAME_MS] * (len(frames) - 1) + [2500]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)
    print(f"story: {len(frames)} frames, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    if not RECORDING.exists() or "--record" in sys.argv:
        record()
    asyncio.run(stills())
    asyncio.run(moving())
    if "--report" in sys.argv:
        report()
