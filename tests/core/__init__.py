"""Tests of `ibtui.core`; a package, so that its oracle is not taken for another folder's."""
