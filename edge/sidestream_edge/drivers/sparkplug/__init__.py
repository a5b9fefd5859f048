"""Sparkplug B 3.0: host application for edge nodes of others; see README.md."""
