"""`ibtui completion SHELL`: a real shell completes what the parser knows."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from ibtui.cli import COMMANDS, SHELLS, main
from ibtui.core.names import BINNINGS
from ibtui.presets import PRESETS


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def completed(script: str, *words: str) -> list[str]:
    """The completions that bash offers for the last of these words."""
    (function,) = re.findall(r"complete .*-F (\w+) ibtui", script)
    typed = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; {function}; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_flags_and_values(capsys):
    ours = script("bash", capsys)
    assert set(completed(ours, "ibtui", "")) >= set(COMMANDS)
    assert completed(ours, "ibtui", "rep") == ["replay", "report"]
    assert completed(ours, "ibtui", "--binn") == ["--binning"]
    assert completed(ours, "ibtui", "--binning", "") == ["auto", *BINNINGS]
    assert completed(ours, "ibtui", "--preset", "") == list(PRESETS)
    assert completed(ours, "ibtui", "--engine", "f") == ["fused"]
    assert completed(ours, "ibtui", "--data", "gr") == ["grid"]
    assert completed(ours, "ibtui", "report", "--quan") == ["--quantity"]
    assert completed(ours, "ibtui", "report", "--record") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_every_command_and_flag(shell, capsys):
    ours = script(shell, capsys)
    for word in (*COMMANDS, "init-sigma", "snapshot-dir", "participation-ratio"):
        assert word in ours
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=ours, text=True, check=True)


def test_another_shell_is_refused(capsys):
    assert main(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
