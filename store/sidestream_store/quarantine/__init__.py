"""Quarantine: what could not be used is kept with its bytes and reason until somebody replays or discards it."""

from sidestream_store.quarantine.keep import KEPT, Message, Quarantined, insert_quarantine, storable

__all__ = ["KEPT", "Message", "Quarantined", "insert_quarantine", "storable"]
