"""Grafana dashboards and alert rules of Sidestream, as code; the JSON that Grafana reads is generated and committed."""
