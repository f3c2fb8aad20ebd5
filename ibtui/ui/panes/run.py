"""The run: what is trained, on what and how, the time that it takes yet, and the end of the log."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import PurePath

from rich.cells import cell_len

from ibtui.core.names import WATCHED
from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.plot.dots import Marker
from ibtui.recording import Recording
from ibtui.ui.classes import classes_of
from ibtui.ui.glyphs import spelled
from ibtui.ui.line import Piece, Span, Styles, piece, strip
from ibtui.ui.logged import wrapped
from ibtui.ui.panes.pane import Drawing, Hotkey, Pane, pane
from ibtui.ui.scene import Scene

INTRODUCTION_S = 20.0
"""Seconds for which the pane says what is seen."""
_INTRODUCTION = (
    "Colour: class in scatters, layer in curves; faint dots: chance.",
    "{space}← → past  [ ] bins",
    "i plane  ? help",
)
CONSTANT = "every output is the same: try another --lr or --init-sigma"
"""The words for a net that gives every input the same output."""
_NOTHING = "the log: nothing yet"


@pane(
    row=2,
    order=3,
    hotkey=Hotkey("L", "", "The whole log, and back; PgUp and PgDn turn its pages."),
    help={
        "Run": "What is trained: widths of the inputs and of each layer, activation, optimiser, data, seed; "
        "the classes with their colours. In the title is the time left; at the default pace, which rises by "
        "itself, it takes that into account. Below is the end of the log: what is asked of the run leaves a "
        "line there (pause, step, pace, binning, saving, restart), what only changes the view does not.",
    },
)
class Run(Pane):
    """The run in a few lines, then the newest lines of the log; large, it is the whole log."""

    def content_key(self, scene: Scene) -> Hashable:
        mirror = scene.mirror
        log = mirror.log_end, len(mirror.log), mirror.log[-1] if mirror.log else "", mirror.died
        return (
            log, id(scene.recording), scene.view.log_back, scene.view.enlarged, _title_and_note(scene),
            _introduces(scene) and scene.space_does, scene.constant_output,
            scene.status and scene.status.message,
        )  # fmt: skip

    def draw(self, scene: Scene, width: int, height: int, styles: Styles) -> Drawing:
        title, note = _title_and_note(scene)
        large = scene.view.enlarged and self.chosen(scene.view)
        warning = [[(row, palette.WARN)] for row in wrapped(CONSTANT, width) if scene.constant_output]
        introduces = _introduces(scene) and not large
        room = max(height - len(warning) - (0 if introduces else 2), 0)  # two rows for the log
        body = [*list(_facts(scene, width))[:room], *warning][:height]
        if introduces:
            body += _introduction(scene, width, height - len(body))
        body += _log(scene, width, height - len(body), scene.view.log_back if large else 0)
        return Drawing(title, [strip(row, width, styles) for row in body], note)


def _title_and_note(scene: Scene) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    status, recording = scene.status, scene.recording
    title = [piece("replay" if scene.plays else "run")]
    if status is not None and status.file:
        title.append(piece(printable(PurePath(status.file).name), ink=palette.CURSOR))
    if scene.loop:
        title.append(piece(printable(scene.loop), ink=palette.CURSOR))
    if recording is not None and recording.config.engine != WATCHED:
        title.append(piece(f"seed {recording.config.seed}", rank=1))
    if left := scene.seconds_left:
        title.append(piece(f"{_duration(left)} left", ink=palette.DIM, rank=2))
    gpu = printable(status.gpu) if status is not None else ""
    return tuple(title), (piece(gpu, gpu.partition(" · ")[2] or gpu, ink=palette.DIM),) if gpu else ()


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _introduces(scene: Scene) -> bool:
    return scene.status is None or scene.status.seconds < INTRODUCTION_S


def _introduction(scene: Scene, width: int, height: int) -> list[list[Span]]:
    """Return as many of its sentences as there are rows for: none is cut."""
    rows: list[list[Span]] = []
    does = scene.space_does
    for sentence in _INTRODUCTION:
        text = spelled(sentence.format(space=f"space {does}  " if does else ""), scene.view.marker)
        more = [[(row, palette.TRAIN)] for row in wrapped(text, width)]
        rows += more if len(rows) + len(more) <= height else []
    return rows


def _facts(scene: Scene, width: int) -> Iterator[list[Span]]:
    """Break what is known of the run into rows, between the facts."""
    if scene.recording is None:
        said = scene.status.message if scene.status is not None else ""
        yield from ([(row, palette.DIM)] for row in wrapped(said or "starting", width))
        return
    row: list[Span] = []
    for fact in _fitting(_facts_of(scene.recording, width, scene.view.marker), width):
        if row and _length(row) + 3 + _length(fact) > width:
            yield row
            row = []
        row += [*([(" · " if scene.view.marker != "ascii" else " - ", palette.DIM)] if row else []), *fact]
    yield row


def _fitting(facts: Iterable[list[Span]], width: int) -> Iterator[list[Span]]:
    """Break a fact that is wider than the pane between its words."""
    for fact in facts:
        if len(fact) > 1 or _length(fact) <= width:
            yield fact
            continue
        (text, ink) = fact[0]
        for part in textwrap.wrap(text, max(width, 1), break_on_hyphens=False):
            yield [(part, ink)]


def _length(row: Sequence[Span]) -> int:
    return sum(cell_len(text) for text, _ in row)


def _facts_of(recording: Recording, width: int, marker: Marker) -> Iterator[list[Span]]:
    config, data = recording.config, recording.dataset
    output = "" if config.output == "same" else f", {config.output} output"
    widths = net_words((data.inputs, *(layer.width for layer in recording.layers)), width, marker)
    if config.engine == WATCHED:  # its settings are the program's own
        count, whole = len(data.x), recording.measured_of
        of = f" of {whole:,}" if count < whole else ""
        facts = [widths, f"{count:,}{of} samples of a loop of your own"]
    else:
        training = f"{config.optimizer}, lr {config.lr:g}, batch {config.batch_size}"
        facts = [f"{widths} {config.activation}{output}", _data_words(recording), training]
    if config.init != "normal" or config.init_sigma != 1:
        facts.append(f"init {config.init}" + (f" σ {config.init_sigma:g}" if config.init == "normal" else ""))
    for fact in facts:
        yield [(spelled(fact, marker), palette.TEXT)]
    found = list(classes_of(recording, marker))
    yield [("class" if len(found) == 1 else f"{len(found)} classes", palette.DIM)]
    yield from ([(f"{glyph} {name}", ink)] for glyph, name, ink in found)


def net_words(widths: Sequence[int], room: int, marker: Marker = "braille") -> str:
    """Return the widths of a net joined by arrows, equal neighbours counted where it is long."""
    said = "→".join(map(str, widths))
    if len(spelled(said, marker)) <= room - 6:
        return said
    runs = [(width, len(list(same))) for width, same in groupby(widths)]
    return "→".join(f"{width}" if count == 1 else f"{width}×{count}" for width, count in runs)


def _data_words(recording: Recording) -> str:
    config, data = recording.config, recording.dataset
    name, _, options = config.data.partition(":")
    name = PurePath(name).name
    if name == "grid":
        options = f"{config.grid}×{config.grid}"
    held = len(data.x_test)
    counts = f"{data.samples - held:,} train, {held:,} held out"
    return printable(f"{' '.join(filter(None, (name, options.replace(',', ' '))))}: {counts}")


def _log(scene: Scene, width: int, height: int, back: int) -> list[list[Span]]:
    """Return the last rows of the log, or as many pages before these as were turned."""
    mirror, marker = scene.mirror, scene.view.marker
    lines: list[Span] = [(line, palette.DIM) for line in mirror.log]
    if mirror.died is not None:
        lines.append((mirror.died.reason, palette.TEXT if scene.link.stopped else palette.WARN))
    rows: list[list[Span]] = []
    wanted = height * (1 + back)
    for line, ink in reversed(lines):
        broken = [[(row, ink)] for row in wrapped(spelled(line, marker), width)]
        rows[:0] = broken
        if len(rows) >= wanted:
            break
    if not rows and scene.view.enlarged:
        rows = [[(_NOTHING, palette.DIM)]]
    stop = max(min(len(rows), height), len(rows) - height * back)
    return rows[max(0, stop - height) : stop]
