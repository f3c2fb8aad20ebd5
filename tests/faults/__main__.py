"""`python -m tests.faults --all`: every fault, and a table of what was lost. It takes half an hour."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ibtui.core.cache import cache_folder
from ibtui.run import places
from tests.faults import kinds, lines, long, numbers, sizes, slow, strangers, trials
from tests.faults.boxes import Lost

TRIALS: dict[str, tuple[int, Callable[[int], list[Lost]]]] = {
    "record-killed": (100, trials.record_killed),
    "signals": (30, trials.signals),
    "two-runs": (10, trials.two_runs),
    "disk-full": (5, trials.disk_full),
    "folder-removed": (10, trials.folder_removed),
    "worker-killed": (30, trials.worker_killed),
    "screen-killed": (20, trials.screen_killed),
    "stuck-screen": (5, trials.stuck_screen),
    "line-drops": (48, lines.line_drops),
    "detached": (12, lines.detached),
    "sizes": (1000, sizes.resized),
    "kinds": (100, kinds.kinds),
    "slow-line": (120, slow.slow_line),
    "numbers": (240, numbers.wrong_numbers),
    "hostile-files": (20_000, strangers.hostile_files),
    "races": (200, trials.races),
    "long-run": (200_000, long.watched),
}
"""The number of tries of each in the long form; of the long run, its epochs."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *TRIALS], metavar="FAULT", help=", ".join(TRIALS))
    parser.add_argument("--all", action="store_true", help="every one of them")
    parser.add_argument("--tries", type=int, help="in the place of the long form's number")
    flags = parser.parse_args()
    names = list(TRIALS) if flags.all else flags.names
    if not names:
        parser.error("name a fault, or --all")
    root = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    os.environ["NUMBA_CACHE_DIR"] = str(cache_folder())  # every trial has another home
    holds = True
    print("| fault | tried | lost |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="ib") as runtime:
        os.chmod(runtime, 0o700)
        os.environ[places.OWN] = runtime
        for name in names:
            tries, trial = TRIALS[name]
            began = time.monotonic()
            for told in trial(flags.tries or tries):
                print(f"| {told.fault} | {told.tried} | {told.lost} |", flush=True)
                if not (told.holds and told.prompt):
                    holds = False
                    print(
                        f"| ^ {'SLOWER' if told.holds else 'MORE'} THAN PROMISED ({name}) | | |", flush=True
                    )
            print(f"<!-- {name}: {time.monotonic() - began:.0f} s -->", flush=True)
    return 0 if holds else 1


raise SystemExit(main())
