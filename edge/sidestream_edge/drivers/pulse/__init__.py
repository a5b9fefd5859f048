"""Pulse and counter inputs."""
