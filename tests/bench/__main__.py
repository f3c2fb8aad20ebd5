"""The speed of a watched worker, of the screen and of whole runs, on this machine."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ibtui.bench.running import run
from tests.bench.groups import GROUPS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--quick", action="store_true", help="rough figures: to see that everything works")
    parser.add_argument("--only", action="append", choices=GROUPS, metavar="GROUP", help=", ".join(GROUPS))
    flags = parser.parse_args()
    wanted = flags.only or GROUPS
    root = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return run({name: GROUPS[name] for name in GROUPS if name in wanted}, flags.json, flags.quick)


if __name__ == "__main__":
    raise SystemExit(main())
