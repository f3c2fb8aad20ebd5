"""What the README says of the program is what the program says of itself."""

from __future__ import annotations

import re
from pathlib import Path

from ibtui.ui import keys
from ibtui.ui.panes import panes

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_table_of_keys_names_them_all():
    table = "\n".join(re.findall(r"^\|.*", README.partition("## Keys")[2].partition("## ")[0], re.M))
    named = set(re.split(r"[\s|,;]+", table))
    assert {key for key, _ in keys.entries(keys.bindings(panes()))} - named == set()


def test_what_draws_pictures_is_named_where_they_are():
    section = README.partition("## Record without a screen")[2].partition("## ")[0]
    assert "--out figure.png" in section
    assert "report]'" in section
