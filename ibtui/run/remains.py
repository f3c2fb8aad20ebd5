"""A worker's source that holds what is left of a run whose worker has died."""

from __future__ import annotations

import traceback

from ibtui.quantities import Measurement
from ibtui.recording.files import load
from ibtui.run.job import Job
from ibtui.run.measuring import measure, meter_of
from ibtui.run.protocol import Save, Stop
from ibtui.run.saver import Keeper
from ibtui.run.state import Rebinned, RunState


class RemainsSource:
    """Has the history looked at, rebinned and saved; nothing trains."""

    def __init__(self, session: RunState, keeper: Keeper, job: Job) -> None:
        self._session, self._keeper, self._job = session, keeper, job

    def prepare(self) -> None:
        """Read what the screen knew of the run."""
        session, path, remains = self._session, self._job.replay, self._job.remains
        assert path is not None and remains is not None
        session.update(message="reading", source="remains")
        self._recording = recording = load(path, history_bytes=session.options.history_mb << 20)
        present, config = self._present(), recording.config
        with session.standing_still():  # whoever looks sees all of it or nothing
            session.begin(
                recording,
                state="dead",
                engine=config.engine,
                device=config.ctx,
                epoch=remains.epoch,
                epochs=config.epochs,
                binning=recording.binning,
                message="",
            )
            session.show(present)
            if remains.saved:
                session.held(session.status.run, remains.epoch)

    def _present(self) -> Measurement | None:
        """The last weights that are known, where training had come past the last measurement."""
        recording, checkpoint = self._recording, self._recording.checkpoint
        if checkpoint is None or checkpoint.epoch <= int(recording.column("epoch")[-1]):
            return None
        try:
            return measure(recording, checkpoint, meter_of(recording))
        except Exception:  # such as a lack of memory: the history is there all the same
            traceback.print_exc()
            return None

    def serve(self) -> bool:
        """Obey until told to stop; returns whether to save first."""
        while True:
            match command := self._session.commands.get():
                case Stop(save):
                    return save
                case Save():
                    self._keeper.save(command)
                case Rebinned():
                    self._session.show(self._present())

    def close(self) -> None:
        """Nothing is held."""
