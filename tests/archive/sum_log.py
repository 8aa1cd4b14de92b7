"""Sums a raw log by hours and by local days: `python sum_log.py LOG ZONE`. It shares no code with the exporter.

A line of the log is a packet: Unix seconds, client, bytes down, bytes up. What comes out is one JSON object:
{"hours": {"<UTC hour>|<client>": [down, up]}, "days": {"<local date>|<client>": [down, up]}}.
"""

import collections
import json
import pathlib
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def main(log: str, zone: str) -> None:
    """Print the sums."""
    hours: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    days: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    with pathlib.Path(log).open(encoding="utf-8") as lines:
        for line in lines:
            at, client, down, up = line.split()
            moment = datetime.fromtimestamp(float(at), UTC)
            hour = moment.strftime("%Y-%m-%dT%H")
            day = moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d")
            for sums in (hours[f"{hour}|{client}"], days[f"{day}|{client}"]):
                sums[0] += int(down)
                sums[1] += int(up)
    json.dump({"hours": hours, "days": days}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
