"""The dashboards, one module each."""

from typing import Final

from grafana.boards import client, health, overview, owner, protocols, quotas, wan, wifi
from grafana.dashboard import Dashboard

DASHBOARDS: Final[tuple[Dashboard, ...]] = (
    overview.BOARD,
    client.BOARD,
    owner.BOARD,
    wan.BOARD,
    wifi.BOARD,
    protocols.BOARD,
    quotas.BOARD,
    health.BOARD,
)
