"""The first line of the screen: where the run stands, and what of it is looked at."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from rich.style import Style
from textual.strip import Strip

from ibtui.errors import printable
from ibtui.plot import palette
from ibtui.ui.line import Piece, fit, piece, spaced, strip
from ibtui.ui.panes.glyphs import STATES
from ibtui.ui.panes.pane import Drawn
from ibtui.ui.view import View, binning_of, moment, pace_of, replaying, state_of

if TYPE_CHECKING:
    from ibtui.run.mirror import Mirror
    from ibtui.run.protocol import Status

_ALARMING = ("failed", "dead")


class StatusLine(Drawn):
    """One line, from which the least important words go first where it is narrow."""

    def key(self, view: View, mirror: Mirror) -> Hashable:
        """All that a line can say."""
        return tuple(status_pieces(view, mirror))

    def paint(
        self, view: View, mirror: Mirror, width: int, height: int, styles: Sequence[Style]
    ) -> Sequence[Strip]:
        """See `Drawn.paint`."""
        pieces = status_pieces(view, mirror)
        room = width - 2
        runs = fit(pieces, room, 2, view.marker)
        wide = spaced(runs, 3)
        if sum(len(text) for text, _ in wide) > room:
            wide = spaced(runs, 2)
        return [strip([(" ", palette.TEXT), *wide], width, styles)]


def status_pieces(view: View, mirror: Mirror) -> list[Piece]:
    """What the line says, in its order."""
    return [piece("ibtui", rank=9), *_state(view, mirror), *_run(view, mirror), *_looking(view, mirror)]


def _state(view: View, mirror: Mirror) -> list[Piece]:
    state, status = state_of(view, mirror), mirror.status
    shown = "playing" if state == "running" and replaying(mirror) else state
    ink = palette.WARN if state in _ALARMING else palette.TRAIN
    pieces = [piece(f"{STATES[state]} {shown}", ink=ink)]
    if status is not None and state in ("starting", "failed") and status.message:
        pieces.append(piece(status.message, ink=ink if state == "failed" else palette.DIM, rank=2))
    if view.silent and not view.lost:
        waiting = f"no answer for {view.silent} s"
        pieces.append(piece(waiting, f"silent {view.silent} s", ink=palette.WARN, rank=1))
    return pieces


def _run(view: View, mirror: Mirror) -> list[Piece]:
    status = mirror.status
    if status is None or status.state == "starting":
        return []
    epoch, of = f"{status.epoch:,}", f"{status.epochs:,}"
    pieces = [piece(f"epoch {epoch} of {of}", f"{epoch} of {of}", f"{epoch}/{of}", rank=1)]
    if state_of(view, mirror) != "dead":
        pieces += _pace(view, mirror, status)
    if status.engine:
        why = [piece(f"({status.why})", ink=palette.DIM, rank=10)] if status.why else []
        device, engine = status.device, status.engine
        pieces += [piece(f"{device} · {engine}", f"{device} {engine}", rank=5), *why]
    if status.gpu:  # its name, then memory and utilisation
        gpu = printable(status.gpu)
        pieces.append(piece(gpu, gpu.partition(" · ")[2] or gpu, ink=palette.DIM, rank=8))
    b = binning_of(view, status)
    long = f"T {b.t_bins:,} · X {b.x_bins:,} bins · {b.kind}"
    pieces.append(piece(long, f"T{b.t_bins} X{b.x_bins} {b.kind}", f"T{b.t_bins} X{b.x_bins}", rank=3))
    if status.pending and not view.lost:
        left = f"{status.pending:,}"
        pieces.append(piece(f"rebinning {left} left", f"rebinning {left}", ink=palette.CURSOR, rank=2))
    return pieces


def _pace(view: View, mirror: Mirror, status: Status) -> list[Piece]:
    pieces = []
    if status.state == "running":
        speed = f"{status.epochs_per_second:,.0f}"
        pieces.append(piece(f"{speed} epochs/s", f"{speed}/s", rank=4))
    # Of what, goes without saying beside a speed in the same unit.
    unit = " measurements/s" if replaying(mirror) else " epochs/s" if status.state != "running" else ""
    limit = pace_of(view, status)
    said = f"(at most {limit:g}{unit})" if limit > 0 else "(no limit)"
    return [*pieces, piece(said, ink=palette.DIM, rank=9)]


def _looking(view: View, mirror: Mirror) -> list[Piece]:
    status, recording = mirror.status, mirror.recording
    if status is None or recording is None:
        return []
    pieces = []
    if view.row is not None and len(recording):
        epochs = recording.column("epoch")
        epoch = f"{int(epochs[min(view.row, len(epochs) - 1)]):,}"
        long = f"view: epoch {epoch} of {status.epoch:,}"
        pieces.append(piece(long, f"view: epoch {epoch}", f"view {epoch}", ink=palette.CURSOR, rank=1))
    elif not replaying(mirror):
        newest = f"{mirror.look.epoch:,}" if mirror.look is not None else "n/a"
        now = moment(view, mirror) == "now"
        said = ["view: now"] if now else [f"view: newest, epoch {newest}", f"newest {newest}"]
        pieces.append(piece(*said, rank=8))
    if status.skipped:
        pieces.append(piece(f"skipped {status.skipped:,}", ink=palette.DIM, rank=6))
    if status.detached:
        pieces.append(piece("detached", ink=palette.DIM, rank=6))
    return pieces
