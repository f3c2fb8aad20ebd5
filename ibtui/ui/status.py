"""The first line of the screen: where the run stands, and what of it is shown."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from textual.strip import Strip

from ibtui import pace
from ibtui.core.information import Binning
from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.run.protocol import Status
from ibtui.ui.drawn import Drawn
from ibtui.ui.glyphs import STATES
from ibtui.ui.line import Piece, Styles, fit, piece, spaced, strip
from ibtui.ui.scene import Scene

_ALARMING = ("failed", "dead")


HELP = {
    "newest, view": "All panes show one epoch. newest N: the last measurement; view N: one of the past, "
    "walked to with ← and →, while training goes on.",
    "≤ 5, at most 5": "The limit of the pace, which + and - change; beside it the actual speed. Until you "
    f"press one of them, it rises by itself: {pace.story_in_words()}.",
    "T, X": "The bins of activations and of inputs, and the kind of binning: keys [ ], { } and b.",
    "cpu · fused": "The device and the engine that train: gluon is MXNet's, fused is ibtui's own compiled "
    "loop.",
    "Estimating": "Past measurements that are still to be estimated with the estimator or bins just chosen.",
    "Skipped": "Measurements that were taken and recorded, but came too fast to be drawn.",
}


class StatusLine(Drawn):
    """One line, from which the least important words go first where it is narrow."""

    def key(self, scene: Scene) -> Hashable:
        return tuple(status_pieces(scene))

    def paint(self, scene: Scene, width: int, height: int, styles: Styles) -> Sequence[Strip]:
        pieces = status_pieces(scene)
        room = width - 2
        spans = fit(pieces, room, 2, scene.view.marker)
        wide = spaced(spans, 3)
        if sum(len(text) for text, _ in wide) > room:
            wide = spaced(spans, 2)
        return [strip([(" ", palette.TEXT), *wide], width, styles)]


def status_pieces(scene: Scene) -> list[Piece]:
    """Return what the line says, in its order."""
    return [piece("ibtui", rank=9), *_state(scene), *_run(scene), *_looking(scene)]


def _state(scene: Scene) -> list[Piece]:
    state, status = scene.run_state, scene.status
    shown = "playing" if state == "running" and scene.plays else state
    ink = palette.WARN if state in _ALARMING else palette.TRAIN
    pieces = [piece(f"{STATES[state]} {shown}", ink=ink)]
    if status is not None and scene.loop and state == "paused":
        waits = f"waits at epoch {status.epoch:,} for you"
        pieces.append(piece(waits, "waits for you", ink=palette.CURSOR, rank=2))
    says = state in ("starting", "failed") or (scene.loop and state != "dead")
    if status is not None and says and status.message:
        pieces.append(piece(status.message, ink=ink if state == "failed" else palette.DIM, rank=2))
    if scene.link.saving == "writing":
        pieces.append(piece("saving", ink=palette.CURSOR, rank=1))
    silent = scene.link.silent
    if silent and not scene.link.lost:
        waiting = f"no answer for {silent} s"
        pieces.append(piece(waiting, f"silent {silent} s", ink=palette.WARN, rank=1))
    return pieces


def _run(scene: Scene) -> list[Piece]:
    status, b = scene.status, scene.binning
    if status is None or b is None or status.state == "starting":
        return []
    epoch, of = f"{status.epoch:,}", f"{status.epochs:,}"
    said = [f"epoch {epoch} of {of}", f"{epoch} of {of}", f"{epoch}/{of}"]
    pieces = [piece(*(said if status.epochs else [f"epoch {epoch}", epoch]), rank=1)]
    if scene.run_state not in ("dead", "stopped", "finished"):
        pieces += _pace(scene, status)
    if status.engine:
        why = [piece(f"({status.why})", ink=palette.DIM, rank=10)] if status.why else []
        device, engine = status.device, status.engine
        pieces += [piece(f"{device} · {engine}", f"{device} {engine}", rank=5), *why]
    if status.gpu:  # its name, then memory and utilisation
        gpu = printable(status.gpu)
        pieces.append(piece(gpu, gpu.partition(" · ")[2] or gpu, ink=palette.DIM, rank=8))
    pieces.append(piece(*_binning(b), rank=3))
    if status.pending and not scene.link.lost:
        left = f"{status.pending:,}"
        pieces.append(piece(f"estimating {left} left", f"estimating {left}", ink=palette.CURSOR, rank=2))
    return pieces


def _binning(b: Binning) -> Sequence[str]:
    """Return the words for what estimates information, longest first."""
    x, cells = ("each sample", "id") if b.identity else (f"{b.x_bins:,} bins", f"{b.x_bins}")
    if b.kind == "kde":
        return f"KDE · noise {b.noise:g}", f"KDE {b.noise:g}"
    if b.kind == "width":
        return f"T {b.t_width:g} wide · X {x}", f"T/{b.t_width:g} X {cells}", f"T/{b.t_width:g}"
    if b.identity:
        return f"T {b.t_bins:,} bins · X {x} · {b.kind}", f"T{b.t_bins} X {cells} {b.kind}", f"T{b.t_bins}"
    return f"T {b.t_bins:,} · X {x} · {b.kind}", f"T{b.t_bins} X{cells} {b.kind}", f"T{b.t_bins} X{cells}"


def _pace(scene: Scene, status: Status) -> list[Piece]:
    pieces = []
    if status.state == "running" and not scene.plays:  # which has a pace of measurements, not of epochs
        speed = f"{status.epochs_per_second:,.0f}"
        pieces.append(piece(f"{speed} epochs/s", f"{speed}/s", rank=4))
    # Of what, goes without saying beside a speed in the same unit.
    unit = " measurements/s" if scene.plays else " epochs/s" if status.state != "running" else ""
    if scene.loop:
        return pieces
    limit = scene.pace
    said = [f"(at most {limit:g}{unit})", f"(≤ {limit:g})"] if limit > 0 else ["(no limit)"]
    pacing = scene.view.pacing
    ink, rank = (palette.CURSOR, 0) if pacing else (palette.DIM, 7)
    return [*pieces, piece(*said, ink=ink, rank=rank)]


def _looking(scene: Scene) -> list[Piece]:
    status, recording, row = scene.status, scene.recording, scene.view.row
    if status is None or recording is None:
        return []
    pieces = []
    if row is not None and len(recording):
        epochs = recording.column("epoch")
        epoch = f"{int(epochs[min(row, len(epochs) - 1)]):,}"
        long = f"view: epoch {epoch} of {status.epoch:,}"
        pieces.append(piece(long, f"view: epoch {epoch}", f"view {epoch}", ink=palette.CURSOR, rank=1))
    elif not scene.plays:
        shown = scene.representation
        newest = f"{shown.epoch:,}" if shown is not None else "n/a"
        now = ["view: now"]
        said = now if scene.when == "now" else [f"view: newest, epoch {newest}", f"newest {newest}"]
        pieces.append(piece(*said, rank=8))
    if status.skipped:
        pieces.append(piece(f"skipped {status.skipped:,}", ink=palette.DIM, rank=6))
    if status.detached:
        pieces.append(piece("detached", ink=palette.DIM, rank=6))
    return pieces
