"""The Grafana dashboards as code: `python -m grafana` writes dashboards/*.json. What they show: docs/dashboards.md."""
