"""Measuring commands: each prints progress on stderr and, with `--json`, one object whose keys stay the same."""
