"""Runs jobs on a device. Holds a broker URL and an object-store URL, never the database."""
