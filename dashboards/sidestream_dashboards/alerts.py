"""Alert rules: few, each with something to do about it.

Each rule's SQL gives one row per subject, always: words are its labels, the one number is judged. A subject that
disappears from the answer therefore means that it is gone, and one that is well again, or whose finding somebody has
shelved, resolves its alert. There is no
`$` in SQL or texts, because Grafana replaces environment variables in provisioning files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sidestream_dashboards.source import DATASOURCE, DATASOURCE_UID, EXPRESSION_UID, FOLDERS, OVERVIEW, QUALITY, STOCKS


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert that fires for a subject whose number is above `above` for `hold`; `sql` is in Grafana's number table."""

    uid: str
    title: str
    summary: str
    action: str
    sql: str
    above: float
    hold: str
    severity: str
    dashboard: str


SENSOR_STALE: Final = Rule(
    uid="sidestream-sensor-stale",
    title="Sensor stale",
    summary="Sensor {{ .Labels.sensor }} of device {{ .Labels.device }} has sent nothing for more than five of its periods.",
    action="See whether its device is online; if so, look at its driver's error on the page of data quality and devices.",
    sql="""
SELECT l.sensor, l.device, CASE WHEN l.freshness = 'stale' AND x.kind IS NULL THEN 1 ELSE 0 END AS stale
FROM sidestream_v.latest l
LEFT JOIN sidestream_v.stream s ON s.id = l.stream
LEFT JOIN sidestream_v.shelved x ON x.kind = 'sensor_stale' AND x.subject = l.sensor
WHERE s.id IS NULL OR s.state = 'live'
""",
    above=0,
    hold="5m",
    severity="warning",
    dashboard=QUALITY,
)
DEVICE_OFFLINE: Final = Rule(
    uid="sidestream-device-offline",
    title="Device offline",
    summary="Device {{ .Labels.device }} ({{ .Labels.name }}) is offline. It keeps its readings and sends them later.",
    action="Check its power and network. Its outbox is on its own disk: don't wipe it.",
    sql="""
SELECT d.device, d.name, CASE WHEN d.state = 'offline' AND x.kind IS NULL THEN 1 ELSE 0 END AS offline
FROM sidestream_v.device d
LEFT JOIN sidestream_v.shelved x ON x.kind = 'device_offline' AND x.subject = d.device
""",
    above=0,
    hold="2m",
    severity="critical",
    dashboard=QUALITY,
)
STOCK_NEAR_FULL: Final = Rule(
    uid="sidestream-stock-near-full",
    title="Stock nearly full",
    summary="Stock {{ .Labels.stock }} of {{ .Labels.owner }} is filled to more than 95 % of its maximum.",
    action="Have it fetched, or stop what fills it. See its uncertainty on the stocks page first.",
    sql="""
SELECT s.name AS stock, COALESCE(s.party_name, s.party) AS owner,
    CASE WHEN x.kind IS NULL THEN COALESCE(100 * s.mass_kg / s.max_kg, 0) ELSE 0 END AS filled_pct
FROM sidestream_v.stock s
LEFT JOIN sidestream_v.shelved x ON x.kind = 'stock_overflow' AND x.subject = s.node
WHERE s.max_kg > 0
""",
    above=95,
    hold="5m",
    severity="warning",
    dashboard=STOCKS,
)
STOCK_NEAR_EMPTY: Final = Rule(
    uid="sidestream-stock-near-empty",
    title="Stock nearly empty",
    summary="Stock {{ .Labels.stock }} of {{ .Labels.owner }} is within 5 % of its span of its minimum, or below it.",
    action="Have it filled, or slow down what takes from it. See its uncertainty on the stocks page first.",
    sql="""
SELECT s.name AS stock, COALESCE(s.party_name, s.party) AS owner,
    CASE WHEN x.kind IS NULL AND s.mass_kg <= s.min_kg + 0.05 * (COALESCE(s.max_kg, 2 * s.min_kg) - s.min_kg)
        THEN 1 ELSE 0 END AS nearly_empty
FROM sidestream_v.stock s
LEFT JOIN sidestream_v.shelved x ON x.kind = 'stock_run_dry' AND x.subject = s.node
WHERE s.min_kg > 0
""",
    above=0,
    hold="5m",
    severity="warning",
    dashboard=STOCKS,
)
QUARANTINE_GROWING: Final = Rule(
    uid="sidestream-quarantine-growing",
    title="Quarantine growing",
    summary="Readings of {{ .Labels.device }} go on being put into quarantine: {{ .Labels.reasons }}.",
    action="Read the reason and the ready snippet on the page of data quality; mend hub.yaml or the device, then replay.",
    sql="""
SELECT d.device, COALESCE(q.reasons, 'nothing new') AS reasons, COALESCE(q.entries, 0) AS entries_last_15_min
FROM (
    SELECT device FROM sidestream_v.device
    UNION SELECT COALESCE(NULLIF(split_part(device, '/', 3), ''), 'unreadable topic') FROM sidestream_v.quarantine
) d
LEFT JOIN (
    SELECT COALESCE(NULLIF(split_part(device, '/', 3), ''), 'unreadable topic') AS device, count(*) AS entries,
        string_agg(DISTINCT reason, ', ') AS reasons
    FROM sidestream_v.quarantine
    WHERE state = 'open' AND last_at > now() - interval '15 minutes'
    GROUP BY 1
) q ON q.device = d.device
""",
    above=0,
    hold="10m",
    severity="warning",
    dashboard=QUALITY,
)
AGREEMENT_OFF_TRACK: Final = Rule(
    uid="sidestream-agreement-off-track",
    title="Agreement at risk or breached",
    summary="Agreement {{ .Labels.agreement }} ({{ .Labels.exchange }}) is at risk in the running period, or was breached.",
    action="Compare delivered with expected on the exchange overview, and talk with the other party before the period ends.",
    sql="""
SELECT a.agreement AS id, a.name AS agreement, s.name AS exchange,
    CASE WHEN x.shelved THEN 0 WHEN a.status = 'breached' THEN 2 WHEN a.status = 'at_risk' THEN 1 ELSE 0 END AS off_track
FROM (
    SELECT DISTINCT ON (agreement) agreement, name, stream, status FROM sidestream_v.agreement_status
    WHERE period_from <= now() ORDER BY agreement, period_from DESC
) a
JOIN sidestream_v.stream s ON s.id = a.stream AND s.state = 'live'
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM sidestream_v.shelved
        WHERE kind IN ('agreement_at_risk', 'agreement_breached') AND split_part(subject, '@', 1) = a.agreement
    ) AS shelved
) x
""",
    above=0,
    hold="15m",
    severity="warning",
    dashboard=OVERVIEW,
)
RULES: Final = (
    SENSOR_STALE,
    DEVICE_OFFLINE,
    STOCK_NEAR_FULL,
    STOCK_NEAR_EMPTY,
    QUARANTINE_GROWING,
    AGREEMENT_OFF_TRACK,
)


def alerts_json() -> dict[str, Any]:
    """Grafana's provisioning file with every rule, in one group that is evaluated each minute."""
    group = {
        "orgId": 1,
        "name": "sidestream",
        "folder": FOLDERS["operation"],
        "interval": "1m",
        "rules": [_rule(rule) for rule in RULES],
    }
    return {"apiVersion": 1, "groups": [group]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "B",
        "data": [_query(rule), _threshold(rule)],
        "for": rule.hold,
        "noDataState": "OK",
        "execErrState": "Error",
        "annotations": {"summary": rule.summary, "description": rule.action, "__dashboardUid__": rule.dashboard},
        "labels": {"severity": rule.severity, "product": "sidestream"},
        "isPaused": False,
    }


def _query(rule: Rule) -> dict[str, Any]:
    model = {
        "refId": "A",
        "datasource": DATASOURCE,
        "editorMode": "code",
        "format": "table",
        "rawQuery": True,
        "rawSql": rule.sql.strip(),
        "intervalMs": 60000,
        "maxDataPoints": 1000,
    }
    return {
        "refId": "A",
        "datasourceUid": DATASOURCE_UID,
        "relativeTimeRange": {"from": 900, "to": 0},
        "model": model,
    }


def _threshold(rule: Rule) -> dict[str, Any]:
    condition = {"type": "query", "evaluator": {"type": "gt", "params": [rule.above]}}
    model = {
        "refId": "B",
        "datasource": {"type": EXPRESSION_UID, "uid": EXPRESSION_UID},
        "type": "threshold",
        "expression": "A",
        "conditions": [condition],
    }
    return {
        "refId": "B",
        "datasourceUid": EXPRESSION_UID,
        "relativeTimeRange": {"from": 0, "to": 0},
        "model": model,
    }
