"""Scales and weighbridges on a serial line."""
