"""What Grafana finds when it starts: both data sources and the folder of dashboards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from grafana.dashboard import DATASOURCE, SQL

PROVISIONING = Path(__file__).parents[2] / "grafana/provisioning"


def sources() -> dict[str, dict[str, Any]]:
    files = (PROVISIONING / "datasources").glob("*.yml")
    return {
        source["uid"]: source
        for file in files
        for source in yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    }


def test_the_variables_find_the_data_sources() -> None:
    assert {uid: source["type"] for uid, source in sources().items()} == {
        "prometheus": DATASOURCE.plugin,
        "postgres": SQL.plugin,
    }
    assert [uid for uid, source in sources().items() if source.get("isDefault")] == ["prometheus"]


def test_the_interval_is_that_of_the_scrapes() -> None:
    """$__rate_interval is four of them: with a smaller one rates have holes."""
    prometheus = yaml.safe_load((PROVISIONING.parents[1] / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    assert sources()["prometheus"]["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_no_password_stands_in_a_file() -> None:
    for source in sources().values():
        for value in source.get("secureJsonData", {}).values():
            assert value.startswith(("$__file{", "${"))


def test_dashboards_are_in_their_own_folder_and_stay_as_they_are() -> None:
    (file,) = (PROVISIONING / "dashboards").glob("*.yml")
    (provider,) = yaml.safe_load(file.read_text(encoding="utf-8"))["providers"]
    assert (provider["type"], provider["folder"], provider["allowUiUpdates"]) == ("file", "Bandwidth", False)
