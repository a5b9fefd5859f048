"""Recorded files: CSV with its own timestamps."""
