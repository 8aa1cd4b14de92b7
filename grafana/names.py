"""Series that the dashboards read and the exporter does not declare: recording rules, and those of Prometheus."""

from __future__ import annotations

from typing import Final

from exporter.metrics import Family

_CLIENT = ("source", "site", "client")
_WAN = ("source", "site", "wan")


def _recorded(name: str, labels: tuple[str, ...], help_: str) -> Family:
    return Family(name, "gauge", labels, help_, "prometheus/rules/recording.yml")


CLIENT_DOWNLOAD_RATE: Final = _recorded(
    "client:bandwidth_client_download_bytes:rate5m", _CLIENT, "Bytes a second toward a client, over five minutes."
)
CLIENT_UPLOAD_RATE: Final = _recorded(
    "client:bandwidth_client_upload_bytes:rate5m", _CLIENT, "Bytes a second from a client, over five minutes."
)
CLIENT_HOUR: Final = _recorded(
    "client:bandwidth_client_bytes:increase1h", _CLIENT, "Bytes of a client in an hour, both directions."
)
CLIENT_DAY: Final = _recorded(
    "client:bandwidth_client_bytes:increase1d", _CLIENT, "Bytes of a client in 24 hours, both directions."
)
WAN_DOWNLOAD_RATE: Final = _recorded(
    "wan:bandwidth_wan_download_bytes:rate5m", _WAN, "Bytes a second from the line, over five minutes."
)
WAN_UPLOAD_RATE: Final = _recorded(
    "wan:bandwidth_wan_upload_bytes:rate5m", _WAN, "Bytes a second to the line, over five minutes."
)
RESETS: Final = _recorded(
    "source:bandwidth_counter_resets:increase1h", ("source",), "Counters of clients that began anew in an hour."
)
RECORDED: Final = (
    CLIENT_DOWNLOAD_RATE,
    CLIENT_UPLOAD_RATE,
    CLIENT_HOUR,
    CLIENT_DAY,
    WAN_DOWNLOAD_RATE,
    WAN_UPLOAD_RATE,
    RESETS,
)

UP: Final = Family("up", "gauge", (), "1 if the last scrape succeeded.", "Prometheus")
ALERTS: Final = Family(
    "ALERTS",
    "gauge",
    ("alertname", "alertstate", "severity", "source", "site", "client", "name", "wan", "quota"),
    "Always 1.",
    "Prometheus",
)
CPU: Final = Family("process_cpu_seconds_total", "counter", (), "Processor time.", "prometheus-client")
MEMORY: Final = Family("process_resident_memory_bytes", "gauge", (), "Memory.", "prometheus-client")
STARTED: Final = Family("process_start_time_seconds", "gauge", (), "When the process began.", "prometheus-client")
FOREIGN: Final = (UP, ALERTS, CPU, MEMORY, STARTED)
