"""Names that dashboards, alert rules and provisioning files share: data source, folders, dashboard uids."""

from __future__ import annotations

from typing import Final

DATASOURCE_TYPE: Final = "grafana-postgresql-datasource"
DATASOURCE_UID: Final = "sidestream"
DATASOURCE: Final = {"type": DATASOURCE_TYPE, "uid": DATASOURCE_UID}
EXPRESSION_UID: Final = "__expr__"
"""Grafana's own source for conditions over other queries' answers."""

FOLDERS: Final = {"operation": "Sidestream", "data": "Sidestream data quality"}
"""Folder of `generated/` → title of the folder in Grafana."""
ALERTS_FILE: Final = "alerting/sidestream.json"

OVERVIEW: Final = "sidestream-overview"
STOCKS: Final = "sidestream-stocks"
HEAT: Final = "sidestream-heat"
LOTS: Final = "sidestream-lots"
QUALITY: Final = "sidestream-quality"
