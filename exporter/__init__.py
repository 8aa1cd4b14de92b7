"""Bandwidth Exporter: every byte your network meters, counted once."""

__version__ = "0.1.0"
