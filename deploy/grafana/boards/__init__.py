"""The dashboards of laserve, described once; `generate.py` writes them as JSON for Grafana."""
