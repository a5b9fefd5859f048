"""What must have become of bad messages when all has drained."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sidestream_app.chaos import plant
from sidestream_app.chaos.rig import Rig


def wrongly_kept(expected: Mapping[str, str], rig: Rig) -> str | None:
    """Which messages (SHA-256 → reason) are not in quarantine for that reason, or for a device not named."""
    from sidestream_store.fault_injection import kept

    entries = kept(rig.dsn)
    counted = {entry.reason for entry in entries if not entry.hash}
    found = {entry.hash: entry for entry in entries}
    wrong = []
    for hash_, reason in expected.items():
        entry = found.get(hash_)
        if entry is None and reason not in counted:
            wrong.append(f"{reason} {hash_[:12]} is not in quarantine")
        elif entry is not None and (entry.reason != reason or plant.EXTRA not in entry.device or not entry.detail):
            wrong.append(f"{reason} {hash_[:12]} is there as {entry.reason} of {entry.device!r}")
    return "; ".join(wrong) or None


def missing_reasons(reasons: Collection[str], rig: Rig) -> str | None:
    """Which reasons the quarantine does not name for the extra device, with a sensor."""
    from sidestream_store.fault_injection import kept

    found = {entry.reason for entry in kept(rig.dsn) if plant.EXTRA in entry.device and entry.sensor}
    missing = sorted(set(reasons) - found)
    return f"no quarantine for {missing}" if missing else None
