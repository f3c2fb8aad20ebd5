"""Mutated files of samples: each must be read as NumPy reads it, or be refused in one clean line.

python -m tests.datasets.fuzz --mutants 10000 --seed 0
"""

from __future__ import annotations

import argparse
import collections
import io
import random
import resource
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from ibtui.config import RunConfig
from ibtui.data.samples import Dataset, make_dataset
from ibtui.errors import UsageError, printable
from tests.recording import fuzz as recordings
from tests.recording.fuzz import MEGABYTES, SECONDS, TookTooLongError, put_together, take_apart, time_limit


def labels_of(y: np.ndarray) -> list[int]:
    """Labels one by one, of any form that is taken."""
    if y.ndim == 1:
        return [int(label) for label in y]
    return [[int(bit) for bit in row].index(1) for row in y]


def expected(path: str | Path, split: float = 0.5, seed: int = 4) -> list[np.ndarray]:
    """Samples that train and samples held out of a file, read by NumPy: x, y, x_test, y_test, names."""
    with np.load(path, allow_pickle=False) as file:
        keys = ("x", "y", "x_test", "y_test", "names")
        there = {key: file[f"{key}.npy"] for key in keys if f"{key}.npy" in file.zip.namelist()}
    stream = np.random.RandomState([seed, 1])
    found = sorted(set(labels_of(there["y"])))
    parts = []
    for part in ("", "_test") if "x_test" in there else ("",):
        x, y = there[f"x{part}"], there[f"y{part}"]
        classes = [found.index(label) for label in labels_of(y)]
        rows = [(np.float32(row).ravel(), label) for row, label in zip(x, classes, strict=True)]
        parts.append([rows[i] for i in stream.permutation(len(rows))])
    if len(parts) == 1:
        cut = int(len(parts[0]) * split + 1e-9)
        parts = [parts[0][:cut], parts[0][cut:]]
    arrays = [np.array([row[i] for row in part]) for part in parts for i in (0, 1)]
    if "names" in there:
        names = [printable(str(name)) for name in there["names"]]
        one_hot = there["y"].ndim == 2 and len(names) == there["y"].shape[1]
        names = [names[label] for label in found] if one_hot else names
    else:
        boolean = there["y"].dtype == bool and there["y"].ndim == 1
        names = [str(bool(label) if boolean else label) for label in found]
    return [*arrays, np.array(names)]


def same(path: str | Path, data: Dataset) -> bool:
    """Compare what was read with `expected`, to the bit."""
    ours = [*data.training, data.x_test, data.y_test, np.array(data.names)]
    return all(np.array_equal(one, other) for one, other in zip(ours, expected(path), strict=True))


def originals() -> list[bytes]:
    """Valid files of several kinds, as NumPy writes them."""
    stream = np.random.RandomState(5)
    x, y = stream.rand(12, 3), np.arange(12) % 3
    kinds = [
        {"x": x, "y": y},
        {"x": np.asfortranarray(x.astype("f4")), "y": y.astype("u1"), "names": np.array(["a", "bc", "d"])},
        {"x": stream.randint(0, 256, (12, 2, 3)).astype("u1"), "y": np.eye(3)[y]},
        {"x": x > 0.5, "y": y > 0, "x_test": x[:5], "y_test": y[:5] > 0},
        {"x": x.astype(">f8"), "y": 2.0 * (y > 0) - 1, "other": np.array([{}], object)},
    ]
    contents = []
    for write in (np.savez, np.savez_compressed):
        for kind in kinds:
            file = io.BytesIO()
            write(file, **kind)
            contents.append(file.getvalue())
    return contents


def edit_values(content: bytes, chance: random.Random) -> bytes:
    """Other numbers in an array, such as no number at all; its checksum is right."""
    members = take_apart(content)
    at = chance.randrange(len(members))
    name, member = members[at]
    data = bytearray(member)
    for _ in range(chance.choice((1, 1, 4))):
        size = chance.choice((1, 4, 8))
        start = chance.randrange(128, len(data) + 1)
        data[start : start + size] = chance.choice((b"\xff", b"\0", b"\x7f", b"\x80", b"\x01")) * size
    members[at] = (name, bytes(data[: len(member)]))
    return put_together(members, chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


MUTATIONS = (
    recordings.flip_bytes, recordings.truncate, recordings.shift, recordings.edit_directory,
    recordings.edit_members, recordings.edit_header, edit_values,
)  # fmt: skip


def attempt(path: Path) -> str:
    """Read a file: "read", "refused", or what went wrong."""
    try:
        with time_limit(SECONDS):
            data = make_dataset(RunConfig(data=str(path), layers=(2,)))
    except UsageError as error:
        line = str(error)
        if not (line.isprintable() and line.startswith("--data ") and str(path) in line and len(line) < 500):
            return f"an unclean line: {line!r}"
        return "refused"
    except TookTooLongError:
        return f"more than {SECONDS} s"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    try:
        return "read" if same(path, data) else "read, and not what the file holds"
    except Exception as error:
        return f"read, but not by numpy: {type(error).__name__}: {error}"


def fuzz(mutants: int, seed: int) -> tuple[collections.Counter[str], list[str]]:
    """Try so many; returns how often each outcome, and what failed."""
    outcomes: collections.Counter[str] = collections.Counter()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        path, sources = Path(folder, "mutant.npz"), originals()
        for source in sources:
            path.write_bytes(source)
            assert (outcome := attempt(path)) == "read", outcome
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(mutants):
            chance = random.Random(f"{seed}/{number}")
            mutant, tried = chance.choice(sources), chance.choices(MUTATIONS, k=chance.choice((1, 1, 2)))
            for mutation in tried:
                try:
                    mutant = mutation(mutant, chance)
                except Exception:  # no longer an archive that can be taken apart
                    mutant = recordings.flip_bytes(mutant or b"PK", chance)
            path.write_bytes(mutant)
            outcome = attempt(path)
            outcomes[outcome if outcome in ("read", "refused") else "failed"] += 1
            if outcome not in ("read", "refused"):
                failures.append(f"mutant {number} ({', '.join(m.__name__ for m in tried)}): {outcome}")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > MEGABYTES:
        failures.append(f"memory grew by {grown:.0f} MB")
    return outcomes, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    outcomes, failures = fuzz(options.mutants, options.seed)
    print(*failures[:20], dict(outcomes), sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
