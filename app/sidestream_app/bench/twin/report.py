"""What the twin's measurements and its study say, for people; and whether they are good enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LIMIT_S, AT = 0.3, "1000"
"""What so many flows may take."""
SAME = 1e-8


def speed_ok(found: dict[str, Any]) -> bool:
    """Fast enough at 1 000 flows, and the same answers as the dense solver."""
    apart = [
        each["peer_difference"] for each in found["reconcile_detail"].values() if each["peer_difference"] is not None
    ]
    return found["reconcile_s"][AT] < LIMIT_S and all(each <= SAME for each in apart)


def speed_lines(found: dict[str, Any]) -> Iterator[str]:
    """A line per size, and what was not measured."""
    for flows, each in found["reconcile_detail"].items():
        peer = (
            "" if each["peer_s"] is None else f"; dense {each['peer_s']:.4f} s, apart by {each['peer_difference']:.1g}"
        )
        yield (
            f"{flows:>5} flows, {each['nodes']} nodes: {each['whole_s']:.4f} s, next interval {each['next_s']:.4f} s{peer}"
        )
    yield f"time grows with flows to the power of {found['reconcile_growth']}"
    if found.get("update_500_s") is not None:
        yield f"update: {found['update_500_s']} s, median {found['update_500_median_s']} s ({found['update_500_how']})"
        yield f"replay: {found['replay_speedup']:,} times as fast as time ({found['replay_how']})"
    yield from (f"{key}: not measured, {found[f'{key}_why']}" for key, value in found.items() if value is None)


def study_ok(found: dict[str, Any]) -> bool:
    """Honest bands, faults found, nobody accused who is not at fault, and better than the meters alone."""
    return bool(
        0.85 <= found["coverage_90"] <= 0.95
        and found["named_within_3"] >= 0.95
        and found["false_per_1000_intervals"] < 1.0
        and found["rms_reconciled_sd"] < found["rms_raw_sd"]
    )


def study_lines(found: dict[str, Any]) -> Iterator[str]:
    """The figures, then the table of meters."""
    yield f"{found['runs']} seeded runs, {found['intervals']:,} intervals judged; errors in deviations of the meters"
    yield f"  RMS error: raw {found['rms_raw_sd']}, reconciled {found['rms_reconciled_sd']}"
    yield f"  truth within 90 % bands: {100 * found['coverage_90']:.1f} %"
    yield f"  faults of 5 deviations in checkable meters named within 3 intervals: {100 * found['named_within_3']:.1f} %"
    yield f"  false accusations: {found['false_accusations']}, {found['false_per_1000_intervals']} per 1 000 intervals"
    yield f"{'meter':<14}{'class':<15}{'detect.':>8}{'5 sd named':>12}{'RMS raw':>9}{'after':>7}{'90 % band':>11}"
    for each in found["meters"]:
        yield (
            f"{each['id']:<14}{each['class']:<15}{_cell(each['detectability']):>8}"
            f"{'yes' if each['five_sd_named_in_3'] else 'no':>12}{_cell(each['rms_raw_sd']):>9}"
            f"{_cell(each['rms_reconciled_sd']):>7}{_cell(each['coverage_90']):>11}"
        )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
