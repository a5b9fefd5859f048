"""Devices of others that publish numbers or JSON to a broker; see README.md."""
