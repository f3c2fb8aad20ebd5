"""Mutated recordings: each must load correctly or be refused in one clean line, quickly and in little memory.

    python -m tests.recording.fuzz --mutants 20000 --seed 0

"Correctly" is judged by NumPy's own reader: what was loaded must be what it finds in the file.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from ibtui.config import RunConfig
from ibtui.core.information import Binning
from ibtui.core.layer import default_binning
from ibtui.data.samples import Dataset
from ibtui.engines import kind_of
from ibtui.engines.protocol import ArraySpec
from ibtui.errors import RecordingError
from ibtui.quantities import Measurement
from ibtui.quantities.meter import quantities
from ibtui.recording import Checkpoint, Recording
from ibtui.recording.files import load, peek, save
from ibtui.run.measuring import experiment_of

OLD = Path(__file__).parents[1] / "data" / "version-0.1.npz"
"""A recording that version 0.1.0 wrote: of schema 1."""
SECONDS = 5
"""The longest that one mutant may take."""
MEGABYTES = 128
"""The most that all mutants together may add to the process's memory."""


# Recordings to mutate, made up without training or measuring anything.


def state(specs: Mapping[str, ArraySpec], stream: np.random.RandomState) -> dict[str, np.ndarray]:
    """Arrays as an engine declares them."""
    return {name: np.asarray(stream.standard_normal(spec.shape), spec.dtype) for name, spec in specs.items()}


def measurement(config: RunConfig, epoch: int, samples: int, binning: Binning | None = None) -> Measurement:
    """Numbers that only look like a measurement: a function of the epoch."""
    stream, kind = np.random.RandomState(epoch), kind_of(config)
    layers = kind.layers(config)
    if binning is None:
        way = default_binning(layers) if config.binning == "auto" else config.binning
        binning = Binning(way, config.x_bins, config.t_bins, config.t_width, config.kde_noise)
    values = {}
    for quantity in quantities(config.quantities):
        shape = (len(layers),) if quantity.per_layer else ()
        numbers = stream.randint(0, 9, shape) if quantity.dtype == "int64" else stream.random_sample(shape)
        values[quantity.name] = np.asarray(numbers)
    return Measurement(
        epoch=epoch,
        binning=binning,
        values=values,
        kept=state(kind.kept(config, 2), stream),
        activations=[stream.rand(samples, layer.width).astype(np.float32) for layer in layers],
    )


def dataset(samples: int, *, parts: bool = False) -> Dataset:
    """Samples of which half train and are measured or, in parts, some of either are measured."""
    stream = np.random.RandomState(7)
    half = samples // 2
    x, y = stream.rand(samples, 2).astype(np.float32), stream.randint(0, 2, samples)
    if not parts:
        return Dataset(x[:half], y[:half], x[half:], y[half:])
    rest, trains = slice(half - 2, half + 3), np.arange(half) < half - 2
    return Dataset(
        x[:half], y[:half], x[half - 2 :], y[half - 2 :], None, trains, x[rest], y[rest], ("-", "+")
    )


def example(
    rows: int = 5, kept: int | None = None, *, resumable: bool = True, parts: bool = False, **settings
) -> Recording:
    """A small recording of so many rows, the last `kept` of them with their activations."""
    config = RunConfig(
        **{"layers": (3, 2), "samples": 16, "epochs": 1000, "every": 10, "engine": "fused"} | settings
    )
    samples = config.samples // 2
    a_row = 4 * samples * sum(config.layers)
    budget = 1 << 30 if kept is None else kept * a_row
    experiment = experiment_of(config, dataset(config.samples, parts=parts))
    ceilings, machine = {"h_x": 1.25, "h_y": 0.69}, {"processor": "a fast one", "threads": "2"}
    recording = Recording(experiment, ceilings, machine=machine, history_bytes=budget)
    for row in range(rows):
        recording.append(measurement(config, row * config.every, samples))
    if resumable:
        reached = max(0, rows - 1) * config.every
        recording.checkpoint = Checkpoint(reached, state(experiment.checkpoint, np.random.RandomState(99)))
    return recording


# Archives, taken apart and put together again.

Members = list[tuple[str, bytes]]


def take_apart(content: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def put_together(members: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as archive:
        warnings.simplefilter("ignore")  # a name that is there twice
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def as_member(array) -> bytes:
    file = io.BytesIO()
    npy.write_array(file, np.asanyarray(array), allow_pickle=True)
    return file.getvalue()


def with_header(header: str, data: bytes, version: bytes = b"\x01\x00") -> bytes:
    """An .npy file with this text for a header."""
    text = header.encode("utf-8", "surrogateescape") + b"\n"
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text) & 0xFFFF)
    return b"\x93NUMPY" + version + size + text + data


def split_header(member: bytes) -> tuple[str, bytes]:
    """Text and data of an .npy file of version 1."""
    end = 10 + struct.unpack("<H", member[8:10])[0]
    return member[10:end].decode("latin-1").strip(), member[end:]


# Mutations.

Mutation = Callable[[bytes, random.Random], bytes]
NUMBERS = (0, 1, 2, 7, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
TYPES = (
    "<f4", ">f4", "<f8", ">f8", "<i8", ">i8", "<i4", "|i1", "<u8", "|b1", "|O", "|S8", "<U9", ">U9", "|V4",
    "<c8", "<M8[ns]", "<f2", "<U999999999", "<U9999999999", "|S0", "x", "\x1b[2J",
)  # fmt: skip
VALUES = (
    None, True, -1, 0, 1, 0.5, 10**30, 10**400, 1e308, float("nan"), float("inf"), "", "x", "\x1b[2J", "auto",
    [], [2], [2, 2], [0], {}, {"a": 1}, "2,2", "gpu999", [4096] * 64, "notebook", "\ud800", [[[[]]]],
)  # fmt: skip


FIELDS = {
    b"PK\x01\x02": {2: (6, 8, 10, 28, 30, 32), 4: (16, 20, 24, 42)},
    b"PK\x03\x04": {2: (4, 6, 8, 26, 28), 4: (14, 18, 22)},
    b"PK\x05\x06": {2: (4, 8, 10, 20), 4: (12, 16)},
}
"""Offsets of the numbers of two and of four bytes in an archive's directory, local headers and end."""
TEXTS = ("config", "quantities", "layers", "kept", "checkpoint", "changes", "machine", "names")


def flip_bytes(content: bytes, chance: random.Random) -> bytes:
    mutant = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 8, 64))):
        mutant[chance.randrange(len(mutant))] ^= 1 << chance.randrange(8)
    return bytes(mutant)


def truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def shift(content: bytes, chance: random.Random) -> bytes:
    at, size = chance.randrange(len(content)), chance.randrange(1, 200)
    piece = content[at : at + size]
    return chance.choice(
        (
            content[:at] + content[at + size :],
            content[:at] + piece + content[at:],
            piece + content,
            content + piece,
        )
    )


def edit_directory(content: bytes, chance: random.Random) -> bytes:
    """Another number in a field of a local header, of the central directory or of its end."""
    mutant = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        kind = chance.choice(list(FIELDS))
        places = [at for at in range(len(content)) if content[at : at + 4] == kind]
        at = chance.choice(places)
        size = chance.choice((2, 4))
        offset = chance.choice(FIELDS[kind][size])
        value = chance.choice((*NUMBERS, 8, 12, 14, chance.randrange(2**32)))
        mutant[at + offset : at + offset + size] = (value % 256**size).to_bytes(size, "little")
    return bytes(mutant)


def edit_members(content: bytes, chance: random.Random) -> bytes:
    """Members left out, doubled, swapped, renamed; stored in other ways. Checksums are right."""
    members = take_apart(content)
    one, other = chance.randrange(len(members)), chance.randrange(len(members))
    match chance.randrange(6):
        case 0:
            del members[one]
        case 1:
            members.append(members[one])
        case 2:
            (a, first), (b, second) = members[one], members[other]
            members[one], members[other] = (a, second), (b, first)
        case 3:
            name = chance.choice(
                ("../../evil.npy", "/etc/evil.npy", "\x1b[2J.npy", "x\n.npy", "x", "é.npy", "t9.npy")
            )
            members[one] = (name, members[one][1])
        case 4:
            members.append((chance.choice(("../../evil.npy", "extra.npy", "\x1b]0;x\x07")), members[one][1]))
        case _:
            chance.shuffle(members)
    ways = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    return put_together(members, chance.choice(ways))


def edit_header(content: bytes, chance: random.Random) -> bytes:
    """Another type, order or shape; another version; text that is no header at all."""
    members = take_apart(content)
    at = chance.randrange(len(members))
    name, member = members[at]
    header, data = split_header(member)
    version = b"\x01\x00"
    match chance.randrange(6):
        case 0:
            old = header.split("'")[3]
            header = header.replace(f"'{old}'", f"'{chance.choice(TYPES)}'")
        case 1:
            header = header.replace("False", chance.choice(("True", "None", "1", "false")))
        case 2 | 3:
            start, end = header.index("(") + 1, header.index(")")
            shape = [int(n) for n in header[start:end].split(",") if n.strip()]
            numbers = (*NUMBERS, -1, 3, chance.randrange(100))
            if shape and chance.random() < 0.7:
                shape[chance.randrange(len(shape))] = chance.choice(numbers)
            else:
                shape = [chance.choice(numbers) for _ in range(chance.randrange(40))]
            header = header[:start] + "".join(f"{n}, " for n in shape) + header[end:]
            if chance.random() < 0.3:
                data = data[: chance.randrange(len(data) + 1)]
        case 4:
            version = bytes((chance.randrange(5), chance.randrange(2)))
        case _:
            header = chance.choice(
                ("", "{}", "(" * 3000, "-" * 9000 + "1", "[" * 60000, "{'descr': '<f4'}", "'\\\x1b'",
                 header * 3, "9" * 9000, header.replace("'<f4'", "[('a', '<f4')]"), "(" * 900 + ")" * 900)
            )  # fmt: skip
    members[at] = (name, with_header(header, data, version))
    return put_together(members)


def edit_values(content: bytes, chance: random.Random) -> bytes:
    """Other numbers in an array of the right shape and type; its checksum is right."""
    members = take_apart(content)
    few = ("schema.npy", "epoch.npy", "t_index.npy", "y.npy", "x_range.npy", "trains.npy", "y_rest.npy")
    small = [i for i, (name, _) in enumerate(members) if name in few]
    at = chance.choice(small) if chance.random() < 0.4 else chance.randrange(len(members))
    name, member = members[at]
    start = 10 + struct.unpack("<H", member[8:10])[0]
    data = bytearray(member)
    for _ in range(chance.choice((1, 1, 3, 20))):
        if start < len(data):
            data[chance.randrange(start, len(data))] = chance.randrange(256)
    if chance.random() < 0.1:
        data += bytes(chance.randrange(1, 9))
    members[at] = (name, bytes(data))
    return put_together(members)


def edit_text(content: bytes, chance: random.Random) -> bytes:
    """Another configuration, other declarations, or none."""
    members = take_apart(content)
    at = chance.choice([i for i, (name, _) in enumerate(members) if name[: -len(".npy")] in TEXTS])
    name, member = members[at]
    values = json.loads(str(npy.read_array(io.BytesIO(member))))
    for _ in range(chance.choice((1, 1, 2))):
        values = edited(values, chance)
    text = json.dumps(values)
    match chance.randrange(8):
        case 0:
            cut = chance.randrange(len(text) + 1)
            piece = chance.choice(("", "\0", "\x1b", "[" * 5000, "9" * 5000, "{", "\U0010ffff"))
            text = text[:cut] + piece + text[cut:]
        case 1:
            text = chance.choice(("", "[" * 100_000, "x" * 1_400_000, '{"a":' * 5000))
    members[at] = (name, as_member(np.array(text)))
    return put_together(members)


def edited(value, chance: random.Random):
    """The same JSON but for one thing, at some depth."""
    if isinstance(value, (dict, list)) and value and chance.random() < 0.8:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key, other = chance.choice(keys), chance.choice(keys)
        match chance.randrange(6):
            case 0:
                del value[key]
            case 1:
                value[key], value[other] = value[other], value[key]
            case 2 if isinstance(value, dict):
                value[chance.choice(("x", "\x1b[2J", "lrr", "", "t0", "i_xt", "x" * 9999))] = value[key]
            case 2:
                value.append(value[key])
            case _:
                value[key] = edited(value[key], chance)
        return value
    return chance.choice(VALUES)


MUTATIONS: tuple[Mutation, ...] = (
    flip_bytes, truncate, shift, edit_directory, edit_members, edit_header, edit_values, edit_text,
)  # fmt: skip


# Trying them.


class TookTooLongError(BaseException):
    """Not an Exception: nothing on the way may take it for a damaged file."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    def stop(*_):
        raise TookTooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file, read by NumPy."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def differences(path: Path, recording: Recording) -> list[str]:
    """Keys whose arrays, as loaded, are not those that NumPy finds in the file; texts apart."""
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder, "again.npz")
        save(recording, again)
        ours = arrays(again)
    with np.load(path, allow_pickle=False) as file:  # only these: what else is there may be damaged
        theirs = {key: file[key] for key in ours if key in file}
    new = {"schema", *TEXTS, *(("x_range",) if theirs["schema"] == 1 else ())}
    return [
        key
        for key in ours.keys() - new
        if key not in theirs
        or (ours[key].dtype, ours[key].shape) != (theirs[key].dtype, theirs[key].shape)
        or ours[key].tobytes() != theirs[key].tobytes()
    ]


def attempt(path: Path) -> str:
    """Load a file: "loaded", "refused", or what went wrong."""
    try:
        with time_limit(SECONDS):
            recording = load(path, history_bytes=1 << 20)
            summary = peek(path)
    except RecordingError as error:
        line = str(error)
        if not (line.isprintable() and line.startswith(f"{path}: ") and len(line) < 500):
            return f"an unclean line: {line!r}"
        return "refused"
    except TookTooLongError:
        return f"more than {SECONDS} s"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if (summary.config, summary.rows) != (recording.config, len(recording)):
        return "peek and load disagree"
    try:
        wrong = differences(path, recording)
    except Exception as error:
        return f"loaded, but not by numpy: {type(error).__name__}: {error}"
    return f"{wrong[0]} is not what the file holds" if wrong else "loaded"


def originals(folder: Path) -> list[bytes]:
    """Valid recordings of several kinds."""
    kinds = (
        example(),
        example(6, 2),
        example(3, 0, resumable=False, activation="relu"),
        example(0, resumable=False),
        example(2, layers=(1, 4, 2), binning="adaptive", samples=9),
        example(3, parts=True),
    )
    contents = [OLD.read_bytes()]
    path = folder / "original.npz"
    for recording in kinds:
        save(recording, path, overwrite=True)
        contents.append(path.read_bytes())
    contents.append(put_together(take_apart(contents[1]), zipfile.ZIP_DEFLATED))
    contents.append(from_elsewhere(contents[2]))
    return contents


def from_elsewhere(content: bytes) -> bytes:
    """The same recording, by an engine and with a dataset and a quantity that are not installed here."""
    members = dict(take_apart(content))
    texts = {key: str(npy.read_array(io.BytesIO(members[f"{key}.npy"]))) for key in ("config", "quantities")}
    config = json.loads(texts["config"]) | {"engine": "there", "data": "away", "quantities": ["far"]}
    far = {"name": "distance", "label": "distance", "per_layer": False}
    declared = [*json.loads(texts["quantities"]), far]
    members["config.npy"] = as_member(json.dumps(config))
    members["quantities.npy"] = as_member(json.dumps(declared))
    rows = len(npy.read_array(io.BytesIO(members["epoch.npy"])))
    members["distance.npy"] = as_member(np.arange(float(rows)))
    return put_together(list(members.items()))


def fuzz(mutants: int, seed: int) -> tuple[collections.Counter[str], list[str], float]:
    """Try so many; returns how often each outcome, what failed, and the megabytes that memory grew by."""
    outcomes: collections.Counter[str] = collections.Counter()
    failures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = originals(folder)
        path = folder / "mutant.npz"
        for source in sources:
            path.write_bytes(source)
            assert (outcome := attempt(path)) == "loaded", outcome
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(mutants):
            chance = random.Random(f"{seed}/{number}")
            mutant = chance.choice(sources)
            mutations = chance.choices(MUTATIONS, k=chance.choice((1, 1, 1, 2, 3)))
            for mutation in mutations:
                try:
                    with np.errstate(all="ignore"):
                        mutant = mutation(mutant, chance)
                except Exception:  # no longer an archive that can be taken apart
                    mutant = flip_bytes(mutant or b"PK", chance)
            path.write_bytes(mutant)
            outcome = attempt(path)
            if outcome in ("loaded", "refused"):
                outcomes[outcome] += 1
            else:
                outcomes["failed"] += 1
                failures.append(f"mutant {number} ({', '.join(m.__name__ for m in mutations)}): {outcome}")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > MEGABYTES:
        outcomes["failed"] += 1
        failures.append(f"memory grew by {grown:.0f} MB")
    return outcomes, failures, grown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    outcomes, failures, grown = fuzz(options.mutants, options.seed)
    for line in failures[:20]:
        print(line, file=sys.stderr)
    print(
        f"{options.mutants} mutants of recordings tried in {time.monotonic() - began:.0f} s: "
        f"{outcomes['refused']} refused, {outcomes['loaded']} loaded correctly, {outcomes['failed']} failed; "
        f"memory grew by {grown:.0f} MB"
    )
    return 1 if outcomes["failed"] else 0


if __name__ == "__main__":
    os.environ.setdefault("TMPDIR", "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())
    sys.exit(main())
