"""The folders that runs are kept in and looked for in, whatever the environment of whoever looks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ibtui.errors import UsageError
from ibtui.run import ended, places, runs, wire
from ibtui.run.ended import Ended
from tests.faults.boxes import FUSED, ibtui

VARIABLES = ("XDG_RUNTIME_DIR", "TMPDIR", "TEMP", "TMP")
LONG_RUN = (*FUSED, "--epochs", "1000000", "--epochs-per-second", "200", "--detach")


@pytest.fixture
def fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of /tmp, and an environment that names no other."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    share(monkeypatch, folder)
    elsewhere(monkeypatch)
    return folder


def share(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let this folder stand for /tmp and /var/tmp."""
    monkeypatch.setattr(places, "SHARED", (str(folder),))


def private(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True)
    return path


def elsewhere(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """Go on in another environment."""
    for variable in (places.OWN, *VARIABLES):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(tempfile, "tempdir", environment.get("TMPDIR", places.SHARED[0]))


# Long paths.


@pytest.mark.parametrize("through", ["an opened folder", "a link"])
@pytest.mark.parametrize("length", [10, 40, 60, 80, 100, 150, 250])
def test_a_socket_can_be_in_a_folder_of_any_length(tmp_path, monkeypatch, length, through):
    if through == "a link":  # as where there is no /proc
        monkeypatch.setattr(places, "OPENED", "/nowhere")
    links = Path(os.environ["XDG_RUNTIME_DIR"], "links")  # short
    links.mkdir()
    share(monkeypatch, links)
    own = private(tmp_path / ("d" * length))
    monkeypatch.setenv(places.OWN, str(own))
    name = "run-1-" + "n" * 35
    opened = len(os.listdir("/proc/self/fd"))
    with wire.listen(name) as listener:
        assert [path.name for path in own.iterdir()] == [f"{name}.sock"]
        with wire.reach(name):
            peer, _ = listener.accept()
            peer.close()
    assert len(os.listdir("/proc/self/fd")) == opened
    assert not os.listdir(links)


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "TMPDIR"])
def test_a_run_in_a_long_folder_is_started_listed_and_stopped(tmp_path, monkeypatch, variable):
    folder = private(tmp_path / ("long" * 30))
    monkeypatch.delenv(places.OWN)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv(variable, str(folder))
    name = started()
    assert list(folder.glob(f"ibtui*/{name}.sock"))
    assert name in said("ls")
    assert f"stopped {name}" in said("stop", name)
    forget_word_of(folder)


def started() -> str:
    out = said(*LONG_RUN)
    return out.split()[1].rstrip(":")


def said(*arguments: str) -> str:
    done = ibtui(*arguments)
    out, err = done.communicate(timeout=60)
    assert (done.returncode, err) == (0, ""), (out, err)
    return out


def forget_word_of(folder: Path) -> None:
    """Remove the links that runs in it have left in the machine's own folders."""
    for base in places.folders():
        for link in base.glob("*.at"):
            if folder in Path(os.readlink(link)).parents:
                link.unlink()


# Runs of other environments.

ENVIRONMENTS = ["XDG_RUNTIME_DIR", "TMPDIR", "neither"]


def environment(kind: str, place: Path) -> dict[str, str]:
    return {} if kind == "neither" else {kind: str(place)}


@pytest.mark.parametrize("looks", ENVIRONMENTS)
@pytest.mark.parametrize("began", ENVIRONMENTS)
def test_a_run_is_found_from_any_environment(fixed, tmp_path, monkeypatch, began, looks):
    elsewhere(monkeypatch, **environment(began, private(tmp_path / "a")))
    ended.write("run-1-past", Ended(7, ("/a.npz",)))
    with wire.listen("run-1-x"):
        home = places.socket_path("run-1-x")
        elsewhere(monkeypatch, **environment(looks, private(tmp_path / "b")))
        assert places.socket_path("run-1-x") == home
        assert places.log_path("run-1-x").parent == home.parent
    assert ended.read("run-1-past") == Ended(7, ("/a.npz",))
    with pytest.raises(UsageError, match="has ended at epoch 7"):
        runs.find("run-1-past")  # nobody is asked in vain: the other one listens no more
    places.clear("run-1-past")
    assert ended.read("run-1-past") is None


def test_a_run_is_listed_attached_to_and_stopped_without_the_variable_it_was_started_with(
    tmp_path, monkeypatch
):
    folder = private(tmp_path / "run")
    monkeypatch.delenv(places.OWN)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    name = started()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert f"{name}  " in said("ls")
    assert f"stopped {name} at epoch" in said("stop", name)
    assert f"{name}  ended" in said("ls")
    forget_word_of(folder)


def test_word_of_a_folder_that_has_gone_is_removed(fixed, tmp_path, monkeypatch):
    folder = private(tmp_path / "a")
    elsewhere(monkeypatch, XDG_RUNTIME_DIR=str(folder))
    wire.listen("run-1-x").close()
    elsewhere(monkeypatch)
    (link,) = fixed.glob("*/*.at")
    runs.running()
    assert link.is_symlink()
    shutil.rmtree(folder)
    assert runs.running() == []
    assert not link.is_symlink()


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701])
def test_a_folder_that_others_can_enter_is_not_looked_into(fixed, tmp_path, monkeypatch, mode):
    elsewhere(monkeypatch, XDG_RUNTIME_DIR=str(private(tmp_path / "a")))
    with wire.listen("run-1-x"):
        home = places.socket_path("run-1-x").parent
        home.chmod(mode)
        elsewhere(monkeypatch)
        assert home not in places.folders() and runs.running() == []


def test_the_one_folder_that_is_named_is_the_only_one(fixed, tmp_path, monkeypatch):
    with wire.listen("run-1-x"):
        monkeypatch.setenv(places.OWN, str(tmp_path / "own"))
        assert places.folders() == [tmp_path / "own"]
        wire.listen("run-1-y").close()
        assert not list(fixed.glob("*/*.at"))


# Folders that cannot be had.


def _file(path: Path) -> None:
    path.write_text("")


def _others(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)


def _nobodys(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, 65534, 65534)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (_file, "is no folder"),
        (_others, "can be entered by others"),
        pytest.param(
            _nobodys, "belongs to another user",
            marks=pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away"),
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("variable", [places.OWN, "XDG_RUNTIME_DIR", "TMPDIR"])
def test_a_folder_that_cannot_be_had_is_told_with_the_variable_that_is_the_way_out(
    fixed, tmp_path, monkeypatch, variable, make, fault
):
    base = private(tmp_path / "base")
    own = {places.OWN: base, "XDG_RUNTIME_DIR": base / "ibtui", "TMPDIR": base / f"ibtui-{os.getuid()}"}
    path = own[variable]
    if path == base:
        base.rmdir()
    make(path)
    elsewhere(monkeypatch, **{variable: str(base)})
    way = places.OWN if variable == places.OWN else "XDG_RUNTIME_DIR or TMPDIR"
    with pytest.raises(UsageError, match=f"{path}: {fault}; .* nobody else can enter .*: set {way} to one"):
        places.folder()


def test_runs_elsewhere_are_listed_also_where_ones_own_folder_cannot_be_had(fixed, tmp_path, monkeypatch):
    elsewhere(monkeypatch, XDG_RUNTIME_DIR=str(private(tmp_path / "a")))
    with wire.listen("run-1-x"):
        home = places.socket_path("run-1-x")
        elsewhere(monkeypatch, TMPDIR=str(private(tmp_path / "b")))
        _others(tmp_path / "b" / f"ibtui-{os.getuid()}")
        assert places.socket_path("run-1-x") == home


# Files of the user's that have a library's name.

SHADOWS = ["numpy", "random", "typing", "json", "queue", "token", "select", "subprocess", "ibtui", "numba"]


@pytest.mark.slow
@pytest.mark.parametrize("run", [["doctor", "--ctx", "cpu"], ["ls"], [*LONG_RUN]], ids=lambda run: run[0])
def test_no_file_in_the_current_folder_is_run(tmp_path, run):
    """By the command itself, or by any Python that it starts."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(
            f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\nraise SystemExit('the wrong file')\n"
        )
    command = [
        sys.executable,
        "-c",
        "import sys; sys.path[:1] = []; from ibtui.cli import main; sys.exit(main())",
    ]
    done = subprocess.run(
        [*command, *run], cwd=folder, capture_output=True, text=True, timeout=170, check=False
    )
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert done.returncode == 0, done.stdout + done.stderr
