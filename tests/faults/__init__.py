"""Faults of a shared machine, brought about on purpose, and what was lost by each."""
