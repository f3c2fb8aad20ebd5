"""Engines: what trains a net."""
