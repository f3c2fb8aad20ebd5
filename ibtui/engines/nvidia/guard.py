"""An engine on a GPU whose failures are told in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ibtui.engines.nvidia.messages import plain
from ibtui.engines.protocol import Array, Engine, State
from ibtui.errors import EngineError, IbtuiError


class Guarded:
    """Another engine, which trains on a GPU; whatever it raises becomes an `EngineError` of one line.

    Parameters
    ----------
    name, device : str
        As the engine has them.
    make : callable
        Makes the engine.

    Raises
    ------
    EngineError
        It cannot be made.
    """

    def __init__(self, name: str, device: str, make: Callable[[], Engine]) -> None:
        self.name, self.device = name, device
        with self._in_plain_words():
            self._engine = make()

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`."""
        with self._in_plain_words():
            self._engine.train(start, stop)

    def state(self) -> dict[str, Array]:
        """Return copies of all that a resume needs."""
        with self._in_plain_words():
            return self._engine.state()

    def load(self, state: State, seed: int | None = None) -> None:
        """Go on from a state; with a seed, in its order."""
        with self._in_plain_words():
            self._engine.load(state, seed)

    def close(self) -> None:
        """Give back what the engine holds; a GPU that has failed has nothing left to give back."""
        with suppress(Exception):
            self._engine.close()

    @contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        try:
            yield
        except IbtuiError:
            raise
        except Exception as error:
            text = plain(str(error) or type(error).__name__)
            raise EngineError(f"{self.device}: {text}; --ctx cpu needs no GPU") from error
