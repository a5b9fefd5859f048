"""Chaos: the product as real processes under load, faults of the catalogue at seeded random moments, then exact counting.

`schedule` draws when what happens, `faults` does it (one module each behind one table), `rig` is what it happens to,
`tally` holds the journals of all senders against the database.
"""

from __future__ import annotations
