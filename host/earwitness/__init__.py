"""Earwitness: sync, verify, play and export the recordings of a pocket recorder."""

__version__ = "0.1.0"
