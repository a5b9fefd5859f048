"""Lots: where each tagged bag, pallet or container is, what lies at each place, and what was scanned last."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.model import Dashboard, Panel, Step, Variable
from sidestream_dashboards.parts import banner
from sidestream_dashboards.source import LOTS

PLACE_CHOICE_SQL: Final = """
SELECT DISTINCT COALESCE(place_name, place, 'place unknown') AS __text, COALESCE(place, '?') AS __value
FROM sidestream_v.lot ORDER BY 1
"""

TOTAL_SQL: Final = "SELECT count(*) AS lots FROM sidestream_v.lot"
UNKNOWN_SQL: Final = "SELECT count(*) AS unknown FROM sidestream_v.lot WHERE place_unknown"
UNTYPED_SQL: Final = "SELECT count(*) AS untyped FROM sidestream_v.lot WHERE lot_type IS NULL"
SCANS_SQL: Final = "SELECT count(*) AS scans FROM sidestream_v.scan WHERE $__timeFilter(time)"

PLACES_SQL: Final = """
SELECT COALESCE(l.place_name, l.place, 'place unknown') AS place, p.name AS owner,
    COALESCE(m.name, 'material unknown') AS material, count(*) AS lots, sum(l.mass_kg) / 1000 AS mass_t,
    2 * sqrt(sum(l.sd_kg ^ 2)) / 1000 AS two_sd_t, count(*) FILTER (WHERE l.mass_kg IS NULL) AS without_mass,
    min(l.since_at) AS longest_since, max(l.last_seen_at) AS last_seen_at
FROM sidestream_v.lot l
LEFT JOIN sidestream_v.party p ON p.id = l.party
LEFT JOIN sidestream_v.material m ON m.id = l.material
GROUP BY 1, 2, 3
ORDER BY count(*) DESC, 1, 3
"""

WHERE_SQL: Final = """
SELECT l.code, COALESCE(l.lot_type_name, 'type unknown') AS lot_type, COALESCE(l.place_name, l.place) AS place,
    CASE WHEN l.place_unknown THEN 'unknown' ELSE 'known' END AS certainty, l.since_at, l.last_seen_at, l.scans,
    l.mass_kg, 2 * l.sd_kg AS two_sd_kg
FROM sidestream_v.lot l
WHERE COALESCE(l.place, '?') IN ($place) AND l.code ILIKE '%$code%'
ORDER BY l.last_seen_at DESC
LIMIT 1000
"""

LAST_SCANS_SQL: Final = """
SELECT c.time AS scanned_at, c.code, COALESCE(n.name, c.node, 'no fixed place') AS reader_place, c.sensor AS reader,
    c.rssi, CASE c.quality WHEN 0 THEN 'good' WHEN 1 THEN 'uncertain' ELSE 'bad' END AS quality,
    CASE WHEN c.recorded THEN 'recorded' ELSE 'good' END AS clock
FROM sidestream_v.scan c
LEFT JOIN sidestream_v.node n ON n.id = c.node
WHERE $__timeFilter(c.time) AND c.code ILIKE '%$code%'
ORDER BY c.time DESC
LIMIT 200
"""

SCAN_RATE_SQL: Final = """
WITH counted AS MATERIALIZED (
    SELECT date_bin(GREATEST($__interval_ms * interval '1 ms', interval '1 minute'), time, timestamptz 'epoch') AS time,
        sensor_id, count(*) AS value
    FROM sidestream_v.scan
    WHERE $__timeFilter(time)
    GROUP BY 1, 2
)
SELECT c.time, s.id AS metric, c.value
FROM counted c
JOIN sidestream_v.sensor s ON s.sensor_id = c.sensor_id
ORDER BY 1, 2
"""

_KNOWN: Final = look.words(("known", "known", look.GOOD), ("unknown", "place unknown", look.DOUBT))
_CLOCK: Final = look.words(("good", "live", look.GOOD), ("recorded", "recorded (replay)", look.PLANNED))


def _count(title: str, description: str, sql: str, steps: tuple[Step, ...]) -> Panel:
    return Panel(
        kind="stat", title=title, description=description, sql=sql, width=6, height=3, decimals=0, steps=steps
    )  # fmt: skip


_PLACES: Final = Panel(
    kind="table",
    title="What lies where",
    description="Number of lots last scanned at each place, and their mass: the nominal mass of the lot's type in "
    "hub.yaml, not a weighing. ± is two standard deviations of the sum, lots taken as independent. Lots of an unknown type "
    "are counted but weigh nothing here.",
    sql=PLACES_SQL,
    width=24,
    height=7,
    empty="No lot was scanned yet",
    fields=(
        look.text("place", "Place"),
        look.text("owner", "Owner"),
        look.text("material", "Material"),
        look.number("lots", "Lots", look.NUMBER, 0),
        look.number("mass_t", "Mass (nominal)", look.TONNE, 2),
        look.number("two_sd_t", "± mass", look.TONNE, 2),
        look.number("without_mass", "Lots without mass", look.NUMBER, 0),
        look.moment("longest_since", "Longest here since", ago=True),
        look.moment("last_seen_at", "Last seen", ago=True),
    ),
    sort=("Lots", True),
)

_WHERE: Final = Panel(
    kind="table",
    title="Where each lot is",
    description="The place of each lot's latest scans, as the twin reads them; 'place unknown' where the reader or tag has "
    "no place in hub.yaml. Mass is nominal for the type, ± two standard deviations. Up to 1000 lots, the latest seen first; "
    "choose places or part of a code above.",
    sql=WHERE_SQL,
    width=24,
    height=10,
    empty="No lot matches",
    fields=(
        look.text("code", "Code", 260),
        look.text("lot_type", "Type"),
        look.text("place", "Place"),
        look.coloured("certainty", "Place is", _KNOWN),
        look.moment("since_at", "There since"),
        look.moment("last_seen_at", "Last seen", ago=True),
        look.number("scans", "Scans", look.NUMBER, 0),
        look.number("mass_kg", "Mass (nominal)", look.KILOGRAM, 0),
        look.number("two_sd_kg", "± mass", look.KILOGRAM, 0),
    ),
)

_LAST_SCANS: Final = Panel(
    kind="table",
    title="Last scans",
    description="The newest 200 scans in the chosen time, as the readers sent them; times are those of the reader. Replayed "
    "files keep their old times and are marked.",
    sql=LAST_SCANS_SQL,
    width=14,
    height=9,
    empty="No scan in this time",
    fields=(
        look.moment("scanned_at", "Scanned"),
        look.text("code", "Code", 260),
        look.text("reader_place", "Place of the reader"),
        look.text("reader", "Reader"),
        look.number("rssi", "Signal", look.DECIBEL, 0),
        look.coloured("quality", "Quality", look.MARK),
        look.coloured("clock", "Clock", _CLOCK),
    ),
)

_SCAN_RATE: Final = Panel(
    kind="timeseries",
    title="Scans per reader",
    description="Scans received from each reader in each point's interval; an exact count of raw scans, several per lot "
    "where it lies before the reader.",
    sql=SCAN_RATE_SQL,
    width=10,
    height=9,
    bars=True,
    stacked=True,
    decimals=0,
    empty="No scan in this time",
)

DASHBOARD: Final = Dashboard(
    uid=LOTS,
    title="Lots",
    folder="operation",
    description="Where is lot X, what lies at each place, and which lots have no known place?",
    variables=(Variable("place", "Place", PLACE_CHOICE_SQL), Variable("code", "Part of a code")),
    parts=(
        banner(),
        _count("Lots", "Tagged lots that were ever scanned; an exact count.", TOTAL_SQL, look.NEUTRAL),
        _count(
            "Place unknown",
            "Lots whose latest scan can't be tied to a place of hub.yaml; an exact count.",
            UNKNOWN_SQL,
            look.ZERO_IS_GOOD,
        ),
        _count(
            "Type unknown",
            "Lots whose code begins with no prefix of hub.yaml, so that mass and material aren't known; an exact count.",
            UNTYPED_SQL,
            look.ZERO_IS_GOOD,
        ),
        _count("Scans in this time", "Raw scans received; an exact count.", SCANS_SQL, look.NEUTRAL),
        _PLACES,
        _WHERE,
        _LAST_SCANS,
        _SCAN_RATE,
    ),
)
