"""From an exception to a sentence."""

from __future__ import annotations

import pytest

from ibtui.errors import UsageError, explain


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UsageError("--lr 0: must be above 0"), "--lr 0: must be above 0"),
        (OSError(28, "No space left on device", "/a"), "No space left on device"),
        (OSError("libmxnet.so: cannot open"), "OSError: libmxnet.so: cannot open"),
        (MemoryError(), "MemoryError"),
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("\n \x1b[31mred"), r"ValueError: \x1b[31mred"),
        (
            RuntimeError('Traceback (most recent call last):\n  File "a.cc", line 7\nnot so'),
            "RuntimeError: not so",
        ),
        (RuntimeError("Traceback …\nRuntimeError: not so"), "RuntimeError: not so"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_any_exception_is_a_line(error, said):
    assert explain(error) == said
