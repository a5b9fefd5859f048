"""Loggers that send their values by HTTP POST."""
