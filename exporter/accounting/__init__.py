"""Arithmetic on bytes that were already counted: when they moved. Pure functions over plain types."""
