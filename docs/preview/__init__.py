"""Draws our dashboards with the answers of a Prometheus, to look at them where there is no Grafana.

It reads the JSON as Grafana does, as far as our dashboards use it: places, queries, units, legends, mappings,
thresholds, tables. Grafana draws the same in its own way.
"""
