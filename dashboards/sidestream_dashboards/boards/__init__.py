"""The dashboards, one module each, with the SQL of its panels beside them."""

from __future__ import annotations

from sidestream_dashboards.boards import heat, lots, overview, quality, stocks
from sidestream_dashboards.model import Dashboard

DASHBOARDS: tuple[Dashboard, ...] = (
    overview.DASHBOARD,
    stocks.DASHBOARD,
    heat.DASHBOARD,
    lots.DASHBOARD,
    quality.DASHBOARD,
)
"""Every dashboard, in the order in which a reader meets them."""
