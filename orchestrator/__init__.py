"""Decides and remembers."""
