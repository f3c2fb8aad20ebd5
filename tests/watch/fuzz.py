"""Mutated streams: each must load, or be refused in one clean line, quickly and in little memory.

python -m tests.watch.fuzz --mutants 10000 --seed 0
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import ibtui
from ibtui.errors import IbtuiError, printable
from ibtui.recording.files import peek
from ibtui.stream import Writer

SECONDS = 5
"""The longest that one mutant may take."""
MEGABYTES = 128
"""The most that all mutants together may add to the process's memory."""
FIRST = b"ibtui stream 1\n"
VALUES: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 1e308, float("nan"), float("inf"), "", "x", "\x1b[2J", "../../etc",
    10**400, [], {}, [1], [[]], "🙂" * 300, "t0", "<f8", "|O", "__class__", [2**40, 2**40], -2.5, "\ud800",
]  # fmt: skip


def seeds(folder: Path) -> list[bytes]:
    """Streams that are whole, of small nets."""
    found = []
    stream = np.random.RandomState(0)
    for number, widths in enumerate(((3, 2), (1,), (5, 4, 1))):
        writer = Writer(folder / f"seed{number}.ibtui")
        writer.append({"kind": "begin", "name": "net", "pid": 1, "host": "h", "started": 2, "every": "auto"})
        writer.append({"kind": "plan", "epochs": 10})
        layers = [{"name": f"l{i}", "units": w, "width": w, "activation": ""} for i, w in enumerate(widths)]
        x, y = stream.rand(20, 2).astype("f4"), stream.randint(0, 2, 20)
        header = {"kind": "net", "layers": layers, "classes": ["a", "b"], "x_range": [0, 1], "notes": ["n"]}
        writer.append(header, {"x": x, "y": y})
        for epoch in range(3):
            arrays = {f"t{i}": stream.rand(20, w).astype("f4") for i, w in enumerate(widths)}
            writer.append({"kind": "row", "epoch": epoch, "scalars": {"loss": 0.5, "own": 1}}, arrays)
        writer.append({"kind": "end", "epoch": 3, "why": ""})
        found.append(writer.path.read_bytes())
        writer.close()
    return found


def records(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """The headers and the arrays' bytes of a whole stream."""
    found, at = [], len(FIRST)
    while at < len(data):
        length, header, _ = struct.unpack_from("<QII", data, at)
        start = at + 16
        found.append((json.loads(data[start : start + header]), data[start + header : start + length]))
        at = start + length
    return found


def joined(parts: list[tuple[Any, bytes]]) -> bytes:
    """A stream of these, with checksums that are right."""
    data = [FIRST]
    for header, arrays in parts:
        text = json.dumps(header).encode()
        sizes = struct.pack("<QI", len(text) + len(arrays), len(text))
        data += [
            sizes,
            struct.pack("<I", zlib.crc32(arrays, zlib.crc32(text, zlib.crc32(sizes)))),
            text,
            arrays,
        ]
    return b"".join(data)


def mutant(data: bytes, chance: random.Random) -> bytes:
    """A stream, changed: its bytes, or the headers of its records, or their order."""
    way = chance.randrange(7)
    if way == 0:
        changed = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        return bytes(changed)
    if way == 1:
        return data[: chance.randrange(len(data))] + os.urandom(chance.randrange(40))
    parts = records(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(parts))
        header, arrays = json.loads(json.dumps(parts[at][0])), parts[at][1]
        if way == 2:
            parts.insert(chance.randrange(len(parts)), parts[at])
        elif way == 3:
            parts[at] = (header, arrays[: chance.randrange(len(arrays) + 1)])
        elif way == 4 and len(parts) > 1:
            del parts[at]
        else:
            parts[at] = (_changed(header, chance), arrays)
    return joined(parts)


def _changed(value: Any, chance: random.Random) -> Any:
    """JSON with one value, somewhere in it, replaced."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.15:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: _changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.7:
        at = chance.randrange(len(value))
        return [*value[:at], _changed(value[at], chance), *value[at + 1 :]]
    return chance.choice(VALUES)


def fuzz(mutants: int, seed: int) -> tuple[collections.Counter[str], list[str]]:
    """Try so many; return what came of them, and what is wrong with it."""
    outcomes: collections.Counter[str] = collections.Counter()
    failures: list[str] = []
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path = Path(folder, "mutant.ibtui")
        whole = seeds(Path(folder))
        for data in whole:
            path.write_bytes(joined(records(data)))
            assert len(ibtui.load(path)) == 3
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(mutants):
            path.write_bytes(mutant(chance.choice(whole), chance))
            began = time.monotonic()
            try:
                run = ibtui.load(path)
                peek(path)
                outcomes["loaded"] += 1
                texts = [layer.name for layer in run.layers] + [q.label for q in run.quantities.values()]
                if any(text != printable(text) for text in (*texts, *run.dataset.names)):
                    failures.append(f"{number}: control characters")
                if (np.diff(run.column("epoch")) <= 0).any():
                    failures.append(f"{number}: epochs that do not ascend")
            except IbtuiError as error:
                outcomes["refused"] += 1
                if printable(str(error)) != str(error):
                    failures.append(f"{number}: not a clean line: {error!r}")
            except Exception as error:
                failures.append(f"{number}: {type(error).__name__}: {error}")
            if time.monotonic() - began > SECONDS:
                failures.append(f"{number}: took long")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        if grown > MEGABYTES:
            failures.append(f"{grown:.0f} MB more memory")
    return outcomes, failures


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    outcomes, failures = fuzz(asked.mutants, asked.seed)
    print(dict(outcomes), *failures, sep="\n")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
