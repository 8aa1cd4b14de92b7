"""Every metric family of the page: its name, type, help and labels. docs/metrics.md is generated from here.

Names and labels are public: a change of one is a breaking change (CHANGELOG).
"""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """A metric family. `origin` says where its value comes from; `note` what to know when it is used."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    origin: str
    note: str = ""


_SOURCE = ("source",)
_SITE = ("source", "site")
_CLIENT = ("source", "site", "client")

SITE_DOWNLOAD = Family(
    "bandwidth_source_download_bytes_total",
    "counter",
    _SITE,
    "Bytes toward all clients of the site since the state began.",
    "the sum of the increases of all its clients, expired clients included",
    "On a source of scope `attached` this is traffic of clients, LAN included, and not the traffic of the line.",
)
SITE_UPLOAD = SITE_DOWNLOAD._replace(
    name="bandwidth_source_upload_bytes_total", help="Bytes from all clients of the site since the state began."
)
CLIENT_DOWNLOAD_BYTES = Family(
    "bandwidth_client_download_bytes_total",
    "counter",
    _CLIENT,
    "Bytes toward the client since it was first seen.",
    "UniFi: `tx_bytes` or `wired-tx_bytes` of stat/sta; nlbwmon: `rx_bytes` of all its rows",
    "Goes on through reboots, reconnects and restarts of controller and exporter.",
)
CLIENT_UPLOAD_BYTES = CLIENT_DOWNLOAD_BYTES._replace(
    name="bandwidth_client_upload_bytes_total",
    help="Bytes from the client since it was first seen.",
    origin="UniFi: `rx_bytes` or `wired-rx_bytes` of stat/sta; nlbwmon: `tx_bytes` of all its rows",
)
CLIENT_DOWNLOAD_PACKETS = CLIENT_DOWNLOAD_BYTES._replace(
    name="bandwidth_client_download_packets_total",
    help="Packets toward the client since it was first seen.",
    origin="UniFi: `tx_packets` or `wired-tx_packets` of stat/sta; nlbwmon: `rx_pkts`",
)
CLIENT_UPLOAD_PACKETS = CLIENT_DOWNLOAD_BYTES._replace(
    name="bandwidth_client_upload_packets_total",
    help="Packets from the client since it was first seen.",
    origin="UniFi: `rx_packets` or `wired-rx_packets` of stat/sta; nlbwmon: `tx_pkts`",
)
CLIENT_INFO = Family(
    "bandwidth_client_info",
    "gauge",
    (*_CLIENT, "mac", "name", "owner", "vendor", "category"),
    "Always 1. Who the client is; the name is never empty.",
    "config, else the controller's alias, else the host name, else vendor and last three bytes, else the client",
    "Exactly one for each client on the page. An address that a device made up for itself has the vendor `randomised`.",
)
CLIENT_CONNECTION_INFO = Family(
    "bandwidth_client_connection_info",
    "gauge",
    (*_CLIENT, "connection", "network", "ssid", "ap", "ip", "guest"),
    "Always 1. Where the client is, or was last, connected: wired, wireless, vpn or unknown.",
    "UniFi: `is_wired`, `network`, `essid`, `ap_mac`, `ip`, `is_guest` of stat/sta; nlbwmon: `ip`, and nothing else",
    "Exactly one for each client on the page.",
)
CLIENT_CONNECTED = Family(
    "bandwidth_client_connected",
    "gauge",
    _CLIENT,
    "1 while the meter shows the client, 0 after that until client_ttl.",
    "UniFi: stat/sta holds the client",
    "nlbwmon does not know who is connected and has no such series.",
)
CLIENT_LAST_SEEN = Family(
    "bandwidth_client_last_seen_timestamp_seconds",
    "gauge",
    _CLIENT,
    "When the meter last heard from the client, Unix time on the exporter's clock.",
    "UniFi: `last_seen` of stat/sta, moved by the difference of the two clocks; nlbwmon: when bytes of it last moved",
    "nlbwmon: appears with the first bytes that move while the exporter runs.",
)
CLIENT_FIRST_SEEN = Family(
    "bandwidth_client_first_seen_timestamp_seconds",
    "gauge",
    _CLIENT,
    "When the exporter first saw the client, Unix time on the exporter's clock.",
    "the exporter: when the client came into the state",
    "No sample for clients that were there at the first complete poll of their source (of their site, on UniFi), or"
    " before a version that wrote it down. It stays when a client leaves and comes back.",
)
CLIENT_SIGNAL = Family(
    "bandwidth_client_signal_dbm",
    "gauge",
    _CLIENT,
    "Signal of a wireless client at its access point, in dBm.",
    "UniFi: `signal` of stat/sta",
)
CLIENT_SATISFACTION = Family(
    "bandwidth_client_satisfaction_ratio",
    "gauge",
    _CLIENT,
    "The controller's own mark for the connection, 0 to 1.",
    "UniFi: `satisfaction` of stat/sta",
)
CLIENT_REPORTED_DOWNLOAD = Family(
    "bandwidth_client_reported_download_bytes_per_second",
    "gauge",
    _CLIENT,
    "The meter's own rate toward the client.",
    "UniFi: `tx_bytes-r` or `wired-tx_bytes-r` of stat/sta",
    "For comparison; rates come from rate() over the counters.",
)
CLIENT_REPORTED_UPLOAD = CLIENT_REPORTED_DOWNLOAD._replace(
    name="bandwidth_client_reported_upload_bytes_per_second",
    help="The meter's own rate from the client.",
    origin="UniFi: `rx_bytes-r` or `wired-rx_bytes-r` of stat/sta",
)
COUNTER_EVENTS = Family(
    "bandwidth_counter_events_total",
    "counter",
    ("source", "kind", "reason"),
    "Raw counters that did not simply go on, by the rule that judged them.",
    "the ledger",
    "Since the start of the process. docs/meters.md explains every reason.",
)
SOURCE_INFO = Family(
    "bandwidth_source_info",
    "gauge",
    ("source", "kind", "scope"),
    "Always 1. scope attached: all bytes at the air or the port, LAN included; internet: routed flows only.",
    "config",
)
SOURCE_UP = Family("bandwidth_source_up", "gauge", _SOURCE, "1 if the last poll of the source succeeded.", "the poller")
SOURCE_LAST_SUCCESS = Family(
    "bandwidth_source_last_success_timestamp_seconds",
    "gauge",
    _SOURCE,
    "When the last poll that succeeded, and was committed, was taken. Unix time.",
    "the poller",
)
SOURCE_DURATION = Family(
    "bandwidth_source_poll_duration_seconds", "gauge", _SOURCE, "How long the last poll took.", "the poller"
)
SOURCE_INTERVAL = Family(
    "bandwidth_source_interval_seconds",
    "gauge",
    _SOURCE,
    "The time between two polls.",
    "config",
    "The exporter polls on its own timer and not at the scrape: a poll costs the meter too much to run twice.",
)
SOURCE_POLLS = Family(
    "bandwidth_source_polls_total",
    "counter",
    _SOURCE,
    "Polls since the process started, failed ones too.",
    "the poller",
)
SOURCE_POLL_FAILURES = Family(
    "bandwidth_source_poll_failures_total",
    "counter",
    ("source", "reason"),
    "Polls that failed since the process started.",
    "the poller",
)
SOURCE_BAD_RECORDS = Family(
    "bandwidth_source_bad_records_total",
    "counter",
    ("source", "reason"),
    "Records of the meter that were skipped since the process started.",
    "the source",
)
CLIENTS_OVER = Family(
    "bandwidth_source_clients_over_limit",
    "gauge",
    _SOURCE,
    "Clients that have no series, because as many as `limits.clients` allows have some.",
    "the last poll",
    "Their bytes are in the sum of their site, and in those of wireless networks and protocols. See design.md, Limits.",
)
SOURCE_GAPS = Family(
    "bandwidth_source_gaps_total",
    "counter",
    _SOURCE,
    "Times when bytes of several intervals landed in one scrape: after a silence, or when held series moved on.",
    "the ledger",
    "Rules over rates look away while this one moves.",
)

_DEVICE = ("source", "site", "device")
_WAN = ("source", "site", "wan")
_PORT = ("source", "site", "device", "port")
_SSID = ("source", "site", "ssid")

DEVICE_DOWNLOAD = Family(
    "bandwidth_device_download_bytes_total",
    "counter",
    _DEVICE,
    "Bytes through the device toward its clients since it was first seen.",
    "UniFi stat/device: `tx_bytes` of an access point, `rx_bytes` of a switch's uplink port, `uplink.rx_bytes` of a "
    "gateway",
    "Of a switch or a gateway it is what passed its uplink; of an access point what it sent over the air.",
)
DEVICE_UPLOAD = DEVICE_DOWNLOAD._replace(
    name="bandwidth_device_upload_bytes_total",
    help="Bytes through the device from its clients since it was first seen.",
    origin="UniFi: stat/device, the opposite direction of the same counters",
)
DEVICE_INFO = Family(
    "bandwidth_device_info",
    "gauge",
    (*_DEVICE, "name", "model", "class", "version", "ip"),
    "Always 1. What the device is; class is ap, switch, gateway or other.",
    "UniFi: `name`, `model`, `type`, `version`, `ip` of stat/device",
    "Exactly one for each device on the page.",
)
DEVICE_UP = Family(
    "bandwidth_device_up", "gauge", _DEVICE, "1 while the device is connected.", "UniFi: `state` of stat/device is 1"
)
DEVICE_UPTIME = Family(
    "bandwidth_device_uptime_seconds",
    "gauge",
    _DEVICE,
    "Time since the device started.",
    "UniFi: `uptime` of stat/device",
)
DEVICE_CLIENTS = Family(
    "bandwidth_device_clients", "gauge", _DEVICE, "Clients on the device.", "UniFi: `num_sta` of stat/device"
)
DEVICE_CPU = Family(
    "bandwidth_device_cpu_ratio",
    "gauge",
    _DEVICE,
    "Share of the device's processor in use, 0 to 1.",
    "UniFi: `system-stats.cpu` of stat/device",
)
DEVICE_MEMORY = Family(
    "bandwidth_device_memory_ratio",
    "gauge",
    _DEVICE,
    "Share of the device's memory in use, 0 to 1.",
    "UniFi: `system-stats.mem` of stat/device",
)
WAN_DOWNLOAD = Family(
    "bandwidth_wan_download_bytes_total",
    "counter",
    _WAN,
    "Bytes from the line into the network since it was first seen.",
    "UniFi: `wanN.rx_bytes` of the gateway in stat/device; OpenWrt: the interface in /proc/net/dev",
)
WAN_UPLOAD = WAN_DOWNLOAD._replace(
    name="bandwidth_wan_upload_bytes_total",
    help="Bytes from the network into the line since it was first seen.",
    origin="UniFi: `wanN.tx_bytes` of the gateway in stat/device; OpenWrt: the interface in /proc/net/dev",
)
WAN_UP = Family("bandwidth_wan_up", "gauge", _WAN, "1 while the line is up.", "UniFi: `wanN.up`; OpenWrt: netifd")
WAN_LATENCY = Family(
    "bandwidth_wan_latency_seconds",
    "gauge",
    _WAN,
    "Round trip as the gateway measures it.",
    "UniFi: `wanN.latency` of the gateway",
)
WAN_LINK_SPEED = Family(
    "bandwidth_wan_link_speed_bytes_per_second",
    "gauge",
    _WAN,
    "Speed of the gateway's port. It is not what the provider sells.",
    "UniFi: `wanN.speed` of the gateway; OpenWrt: the device's `speed` in /sys/class/net",
)
WAN_CONTRACT_DOWNLOAD = Family(
    "bandwidth_wan_contract_download_bytes_per_second",
    "gauge",
    _WAN,
    "The download that is paid for.",
    "config: `wans`",
)
WAN_CONTRACT_UPLOAD = WAN_CONTRACT_DOWNLOAD._replace(
    name="bandwidth_wan_contract_upload_bytes_per_second", help="The upload that is paid for."
)
WAN_INFO = Family(
    "bandwidth_wan_info",
    "gauge",
    (*_WAN, "device", "interface", "ip"),
    "Always 1. Which gateway and interface the line is on, and its address.",
    "UniFi: `wanN.ifname`, `wanN.ip` of the gateway; OpenWrt: netifd",
    "Exactly one for each line on the page.",
)
PORT_DOWNLOAD = Family(
    "bandwidth_port_download_bytes_total",
    "counter",
    _PORT,
    "Bytes toward what is plugged into the port since it was first seen.",
    "UniFi: `port_table[].tx_bytes` of stat/device",
    "On an uplink port too: there download is toward the rest of the network.",
)
PORT_UPLOAD = PORT_DOWNLOAD._replace(
    name="bandwidth_port_upload_bytes_total",
    help="Bytes from what is plugged into the port since it was first seen.",
    origin="UniFi: `port_table[].rx_bytes` of stat/device",
)
PORT_UP = Family("bandwidth_port_up", "gauge", _PORT, "1 while the port has a link.", "UniFi: `port_table[].up`")
PORT_LINK_SPEED = Family(
    "bandwidth_port_link_speed_bytes_per_second",
    "gauge",
    _PORT,
    "Speed of the port's link.",
    "UniFi: `port_table[].speed`",
)
PORT_INFO = Family(
    "bandwidth_port_info",
    "gauge",
    (*_PORT, "name", "uplink"),
    "Always 1. What the port is called, and whether it leads to the rest of the network.",
    "UniFi: `port_table[].name`, `port_table[].is_uplink`",
    "Exactly one for each port on the page.",
)
SSID_DOWNLOAD = Family(
    "bandwidth_ssid_download_bytes_total",
    "counter",
    _SSID,
    "Bytes toward the clients of the wireless network since it was first seen.",
    "the sum of the increases of its clients",
    "The controller's own counters of it wrap at 2^32 and are not used.",
)
SSID_UPLOAD = SSID_DOWNLOAD._replace(
    name="bandwidth_ssid_upload_bytes_total",
    help="Bytes from the clients of the wireless network since it was first seen.",
)
SSID_CLIENTS = Family(
    "bandwidth_ssid_clients", "gauge", _SSID, "Clients on the wireless network.", "UniFi: `essid` of stat/sta"
)

PROTOCOL_DOWNLOAD = Family(
    "bandwidth_protocol_download_bytes_total",
    "counter",
    ("source", "family", "protocol"),
    "Bytes toward all clients in the protocol since it was first seen.",
    "nlbwmon: `rx_bytes` of the rows of one `layer7` name, in lower case, `other` where it has none",
    "family is ipv4 or ipv6.",
)
PROTOCOL_UPLOAD = PROTOCOL_DOWNLOAD._replace(
    name="bandwidth_protocol_upload_bytes_total",
    help="Bytes from all clients in the protocol since it was first seen.",
    origin="nlbwmon: `tx_bytes` of the same rows",
)
CLIENT_PROTOCOL_DOWNLOAD = Family(
    "bandwidth_client_protocol_download_bytes_total",
    "counter",
    ("source", "client", "protocol"),
    "Bytes toward the client in the protocol since it was first seen.",
    "nlbwmon: `rx_bytes` of the client's rows of one `layer7` name",
    "Only with `protocols: true`: there is one series for each client and protocol.",
)
CLIENT_PROTOCOL_UPLOAD = CLIENT_PROTOCOL_DOWNLOAD._replace(
    name="bandwidth_client_protocol_upload_bytes_total",
    help="Bytes from the client in the protocol since it was first seen.",
    origin="nlbwmon: `tx_bytes` of the same rows",
)
NLBWMON_ROWS = Family(
    "bandwidth_nlbwmon_rows",
    "gauge",
    _SOURCE,
    "Rows in the router's table.",
    "nlbwmon: the length of `nlbw -c json`",
    "Where it reaches bandwidth_nlbwmon_rows_limit, nlbwmon overwrites rows, and bytes of theirs are lost.",
)
NLBWMON_ROWS_LIMIT = Family(
    "bandwidth_nlbwmon_rows_limit",
    "gauge",
    _SOURCE,
    "Rows that the router's table can hold; 0 where there is no limit.",
    "nlbwmon: `database_limit`",
)

_QUOTA = ("quota",)

PERIOD_DOWNLOAD = Family(
    "bandwidth_period_download_bytes",
    "gauge",
    ("scope", "source", "site", "subject", "period"),
    "Bytes toward the subject since the period began.",
    "the ledger and its archive",
    "scope is client, owner, category, wan, source or all; period is today, week, month or the name of a quota. "
    "Clients only where a quota names them. Stays while a source is down. docs/quotas.md",
)
PERIOD_UPLOAD = PERIOD_DOWNLOAD._replace(
    name="bandwidth_period_upload_bytes", help="Bytes from the subject since the period began."
)
QUOTA_LIMIT = Family(
    "bandwidth_quota_limit_bytes", "gauge", _QUOTA, "What may be used in a period.", "config: `quotas`"
)
QUOTA_USED = Family(
    "bandwidth_quota_used_ratio",
    "gauge",
    _QUOTA,
    "What was used in this period, as a share of the limit.",
    "the ledger",
)
QUOTA_PROJECTED = Family(
    "bandwidth_quota_projected_ratio",
    "gauge",
    _QUOTA,
    "What will have been used when the period ends, as a share of the limit, if it goes on at its mean rate so far.",
    "the ledger",
    "Not there in the first twentieth of a period. docs/quotas.md has the formula.",
)
QUOTA_THRESHOLD = Family(
    "bandwidth_quota_threshold_ratio",
    "gauge",
    ("quota", "threshold"),
    "A share of the limit that somebody wants to be told of.",
    "config: `quotas`",
    "threshold is the share as it is written: `75%`.",
)
QUOTA_PERIOD_START = Family(
    "bandwidth_quota_period_start_timestamp_seconds",
    "gauge",
    _QUOTA,
    "When this period began. Unix time.",
    "config: `quotas`",
)
QUOTA_PERIOD_END = QUOTA_PERIOD_START._replace(
    name="bandwidth_quota_period_end_timestamp_seconds", help="When this period ends. Unix time."
)

FAMILIES = (
    SITE_DOWNLOAD,
    SITE_UPLOAD,
    SOURCE_INFO,
    SOURCE_UP,
    SOURCE_LAST_SUCCESS,
    SOURCE_DURATION,
    SOURCE_INTERVAL,
    SOURCE_POLLS,
    SOURCE_POLL_FAILURES,
    SOURCE_BAD_RECORDS,
    SOURCE_GAPS,
    CLIENTS_OVER,
    COUNTER_EVENTS,
    CLIENT_DOWNLOAD_BYTES,
    CLIENT_UPLOAD_BYTES,
    CLIENT_DOWNLOAD_PACKETS,
    CLIENT_UPLOAD_PACKETS,
    CLIENT_INFO,
    CLIENT_CONNECTION_INFO,
    CLIENT_CONNECTED,
    CLIENT_LAST_SEEN,
    CLIENT_FIRST_SEEN,
    CLIENT_SIGNAL,
    CLIENT_SATISFACTION,
    CLIENT_REPORTED_DOWNLOAD,
    CLIENT_REPORTED_UPLOAD,
    DEVICE_DOWNLOAD,
    DEVICE_UPLOAD,
    DEVICE_INFO,
    DEVICE_UP,
    DEVICE_UPTIME,
    DEVICE_CLIENTS,
    DEVICE_CPU,
    DEVICE_MEMORY,
    WAN_DOWNLOAD,
    WAN_UPLOAD,
    WAN_INFO,
    WAN_UP,
    WAN_LATENCY,
    WAN_LINK_SPEED,
    WAN_CONTRACT_DOWNLOAD,
    WAN_CONTRACT_UPLOAD,
    PORT_DOWNLOAD,
    PORT_UPLOAD,
    PORT_INFO,
    PORT_UP,
    PORT_LINK_SPEED,
    SSID_DOWNLOAD,
    SSID_UPLOAD,
    SSID_CLIENTS,
    PROTOCOL_DOWNLOAD,
    PROTOCOL_UPLOAD,
    CLIENT_PROTOCOL_DOWNLOAD,
    CLIENT_PROTOCOL_UPLOAD,
    NLBWMON_ROWS,
    NLBWMON_ROWS_LIMIT,
    PERIOD_DOWNLOAD,
    PERIOD_UPLOAD,
    QUOTA_LIMIT,
    QUOTA_USED,
    QUOTA_PROJECTED,
    QUOTA_THRESHOLD,
    QUOTA_PERIOD_START,
    QUOTA_PERIOD_END,
)
"""In the order of the page."""

BUILD_INFO = Family(
    "bandwidth_exporter_build_info",
    "gauge",
    ("version", "python"),
    "Always 1. What is running.",
    "the package",
)
COMMIT_FAILURES = Family(
    "bandwidth_exporter_commit_failures_total",
    "counter",
    (),
    "Commits to the state file that failed; what they held is counted with a later poll.",
    "the committer",
)
RELOAD_SUCCESSFUL = Family(
    "bandwidth_exporter_config_last_reload_successful",
    "gauge",
    (),
    "1 if the configuration file could be used when it was last read, else 0: then the one before is in use.",
    "the start, SIGHUP and `POST /-/reload`",
    "The log and the status page say what is wrong with it.",
)
RELOAD_SUCCESS_TIMESTAMP = Family(
    "bandwidth_exporter_config_last_reload_success_timestamp_seconds",
    "gauge",
    (),
    "When the configuration in use was read.",
    "the start, SIGHUP and `POST /-/reload`",
)
ARCHIVE_UP = Family(
    "bandwidth_archive_up",
    "gauge",
    (),
    "1 if the last try to feed the archive in PostgreSQL worked, else 0.",
    "the thread that feeds it",
    "On the page where `archive.url` is set, as the other three are. The log and the status page say what is wrong.",
)
ARCHIVE_LAG = Family(
    "bandwidth_archive_lag_seconds",
    "gauge",
    (),
    "Since when the archive in PostgreSQL lacks rows that the state has; 0 if it lacks none.",
    "the thread that feeds it",
)
ARCHIVE_PENDING = Family(
    "bandwidth_archive_pending_rows",
    "gauge",
    (),
    "Rows of history that wait in the state for PostgreSQL.",
    "the thread that feeds it",
    "A row that changes while it waits is one row, so it grows with time and not with polls. During a start and after "
    "an outage it falls.",
)
ARCHIVE_FAILURES = Family(
    "bandwidth_archive_failures_total",
    "counter",
    (),
    "Tries to feed the archive in PostgreSQL that failed; their rows are sent with a later one.",
    "the thread that feeds it",
)


def _threshold(what: str, help_: str, key: str, note: str = "") -> Family:
    return Family(f"bandwidth_threshold_{what}", "gauge", (), help_, f"config: `alerts.{key}`", note)


UNSET = "Without a value in the configuration it is not there, and nothing is told."
THRESHOLD_CLIENT_DOWNLOAD = _threshold(
    "client_download_bytes_per_second",
    "The download of a client above which you want to be told.",
    "client_download",
    UNSET,
)
THRESHOLD_CLIENT_UPLOAD = _threshold(
    "client_upload_bytes_per_second", "The upload of a client above which you want to be told.", "client_upload", UNSET
)
THRESHOLD_CLIENT_DAY = _threshold(
    "client_day_bytes", "The bytes of a client in 24 hours above which you want to be told.", "client_day", UNSET
)
THRESHOLD_WAN_UTILISATION = _threshold(
    "wan_utilisation_ratio", "The share of what is paid for above which a line counts as full.", "wan_utilisation"
)
THRESHOLD_POLL_DURATION = _threshold(
    "poll_duration_ratio", "The share of the interval above which a poll counts as slow.", "poll_duration"
)
THRESHOLD_STALE = _threshold(
    "source_stale_intervals",
    "Intervals without a poll that succeeded, after which a source counts as stale.",
    "stale_after",
)
THRESHOLD_UNUSUAL = _threshold(
    "client_unusual_ratio", "How much more than in the same hour of past weeks counts as unusual.", "unusual"
)
THRESHOLD_UNUSUAL_BYTES = _threshold(
    "client_unusual_bytes", "The bytes of a client in an hour below which nothing counts as unusual.", "unusual_from"
)
THRESHOLD_RESETS = _threshold(
    "client_resets_per_hour",
    "Restarts of counters in an hour, for each client, above which you want to be told.",
    "resets",
)
THRESHOLD_ROWS = _threshold(
    "nlbwmon_rows_ratio", "The share of its table above which a router's counts as nearly full.", "nlbwmon_rows"
)
THRESHOLD_ARCHIVE_LAG = _threshold(
    "archive_lag_seconds", "How far the archive in PostgreSQL may be behind.", "archive_lag"
)
OWN_FAMILIES = (
    BUILD_INFO,
    COMMIT_FAILURES,
    RELOAD_SUCCESSFUL,
    RELOAD_SUCCESS_TIMESTAMP,
    ARCHIVE_UP,
    ARCHIVE_LAG,
    ARCHIVE_PENDING,
    ARCHIVE_FAILURES,
    THRESHOLD_CLIENT_DOWNLOAD,
    THRESHOLD_CLIENT_UPLOAD,
    THRESHOLD_CLIENT_DAY,
    THRESHOLD_WAN_UTILISATION,
    THRESHOLD_POLL_DURATION,
    THRESHOLD_STALE,
    THRESHOLD_UNUSUAL,
    THRESHOLD_UNUSUAL_BYTES,
    THRESHOLD_RESETS,
    THRESHOLD_ROWS,
    THRESHOLD_ARCHIVE_LAG,
)
"""About the process, kept by prometheus-client, which adds its own process_* families."""
