"""The simulated nlbwmon does what the real one was seen to do (nlbwmon reference, §1), with the recorded numbers."""

from __future__ import annotations

import pytest

from exporter.demo.openwrt.daemon import Options
from exporter.demo.openwrt.router import BOOT, NTP, START, Router
from exporter.demo.openwrt.rows import NO_MAC, Key, known
from exporter.demo.openwrt.shell import nlbw, run
from exporter.sources.nlbwmon.payload import csv_rows, json_rows
from tests.nlbwmon.recorded import CSV, JSON
from tests.nlbwmon.router import ONE, TWO, clock

WEB = Key(4, "TCP", 443, ONE, "192.168.1.101")
HTTP = WEB._replace(port=80)
SSH = WEB._replace(port=22)
OTHER = WEB._replace(proto="IP", port=0)
WEB2 = Key(4, "TCP", 443, TWO, "192.168.1.102")
DNS2 = WEB2._replace(proto="UDP", port=53)


def router(at: str = "2026-11-20T12:00", *, flash: bool = True, interval: str = "1", limit: int = 10_000) -> Router:
    return Router(start=clock(at), flash=flash, step=10.0, options=Options(interval=interval, limit=limit))


def go(made: Router, at: str) -> Router:
    made.advance(clock(at))
    return made


def after(made: Router, seconds: float) -> Router:
    made.advance(made.now + seconds)
    return made


def moved(made: Router, key: Key, down: int, up: int = 0) -> None:
    """Bytes of a connection, shown."""
    made.move(key, down, up)
    after(made, 30)


def value(made: Router, key: Key = WEB, label: str = "") -> int | None:
    """What `nlbw` says of a row's download; None where the row, or the whole file, is not there."""
    reply = nlbw(made, ["-c", "json", *(("-t", label) if label else ())])
    assert reply.status in (0, 195)
    rows = json_rows(reply.out.encode()).rows if reply.status == 0 else []
    return next((row.rx_bytes for row in rows if (row.mac, row.port, row.ip) == (key.mac, key.port, key.ip)), None)


def listed(made: Router) -> list[str]:
    return nlbw(made, ["-c", "list"]).out.split()


def as_recorded() -> Router:
    """A router that has the recorded rows."""
    made = router()
    assert made.daemon is not None
    for row in json_rows(JSON).rows:
        key = Key(row.family, row.proto, row.port, row.mac, row.ip)
        made.open(key)
        mine = made.daemon.rows[key]
        mine.down, mine.down_packets, mine.up, mine.up_packets = row[5:9]
    return made


def test_json_and_csv_as_recorded() -> None:
    made = as_recorded()
    assert nlbw(made, ["-c", "json"]).out.encode() == JSON
    assert nlbw(made, ["-c", "csv"]).out.encode() == CSV
    assert run(made, "/usr/sbin/nlbw -c csv").out.encode() == CSV


def test_an_empty_database_as_recorded() -> None:
    columns, _, _ = JSON.decode().partition(',"data"')
    made = router()
    assert nlbw(made, ["-c", "json"]).out == columns + ',"data":[]}'
    assert nlbw(made, ["-c", "csv"]).out.encode() == CSV.partition(b"\n")[0] + b"\n"


@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        ("nlbw -c json -t 2026-10-01", 195, "Error while processing command: No data available\n"),
        ("nlbw -c help", 1, "Unrecognized command 'help'\n"),
        ("nlbw", 1, "No command specified\n"),
        ("nlbw -c json -t 24h", 1, "Unrecognized date '24h'\n"),
        ("", 127, "ash: : not found\n"),
        ("'a\nb'", 127, "ash: a: not found\n"),
        ("cat /etc/shadow", 127, "ash: cat: not found\n"),
        ("nlbw -c 'json", 127, "ash: nlbw -c 'json: not found\n"),
        (": bandwidth-exporter 2 " + "0" * 32 + " json", 127, "ash: :: not found\n"),
    ],
)
def test_what_cannot_be_done(command: str, status: int, error: str) -> None:
    assert run(router(), command) == ("", status, error)


@pytest.mark.parametrize("command", ["json", "csv", "list", "commit"])
def test_without_a_daemon(command: str) -> None:
    made = router()
    made.stop()
    assert nlbw(made, ["-c", command]) == ("", 247, "Error while processing command: Bad file descriptor\n")


def test_a_protocols_name_is_not_escaped_in_json_and_doubled_in_csv() -> None:
    """Recorded (edge-misc, M)."""
    made = router()
    made.protocols["TCP", 443] = 'He said "hi"\\ there'
    moved(made, WEB, 1)
    assert nlbw(made, ["-c", "json"]).out.endswith(',"He said "hi"\\ there"]]}')
    assert nlbw(made, ["-c", "csv"]).out.endswith('\t"He said ""hi""\\ there"\n')
    assert csv_rows(nlbw(made, ["-c", "csv"]).out.encode()).rows[0].layer7 == 'He said "hi"\\ there'


def test_what_has_no_name_is_folded() -> None:
    assert known("TCP", 8080) == known("UDP", 6881) == ("IP", 0)
    assert known("TCP", 443) == ("TCP", 443)


def test_values_move_with_the_refresh_only() -> None:
    """Recorded (edge-rest, W)."""
    made = router()
    made.move(WEB, 75_956, 0)
    assert [value(after(made, 10)) for _ in range(5)] == [0, 75_956, 75_956, 75_956, 75_956]
    made.move(WEB, 80_832, 0)
    assert [value(after(made, 10)) for _ in range(3)] == [75_956, 75_956, 156_788]


def test_a_rollover_by_the_bytes() -> None:
    """Recorded (rollover-reconcile): 75,956 in the closed period and 176,872 in the new one are all that was sent."""
    made = router("2026-11-30T23:59:30")
    moved(made, WEB, 75_956)
    after(made, 30)
    made.move(WEB, 176_872, 0)
    assert value(after(made, 30)) == 176_872
    assert value(made, label="2026-11-01") == 75_956


def test_the_list_is_empty_until_the_first_commit_of_a_period() -> None:
    """Recorded (rollover-trace)."""
    made = router("2026-11-30T23:00")
    made.move(WEB, 10, 0)
    nlbw(made, ["-c", "commit"])
    assert listed(made) == ["2026-11-01"]
    go(made, "2026-12-01T00:01")
    assert listed(made) == []
    nlbw(made, ["-c", "commit"])
    assert listed(made) == ["2026-12-01", "2026-11-01"]


def test_a_connection_that_stays_open_gets_a_row_of_zeros_in_the_new_period() -> None:
    made = router("2026-11-30T23:59:00")
    moved(made, WEB, 1_000)
    assert value(go(made, "2026-12-01T00:01")) == 0


def test_power_goes_with_the_database_on_flash() -> None:
    """Recorded (smoke): 1,602,720 falls to 701,256, which was committed."""
    made = router()
    moved(made, WEB, 701_256)
    nlbw(made, ["-c", "commit"])
    moved(made, WEB, 1_602_720 - 701_256)
    assert value(made, label="2026-11-01") == 701_256
    before = made.boot_id
    made.cut_power()
    assert made.away
    assert value(after(made, BOOT + START)) == 701_256
    assert made.boot_id != before


def test_what_power_takes_is_told_in_the_truth() -> None:
    made = router()
    moved(made, WEB, 500)
    assert value(made) == 500
    moved(made, WEB, 70)
    assert value(made) == 570
    moved(made, WEB, 8)
    made.cut_power()
    assert made.truth.metered[ONE] == (78, 0)
    assert made.truth.lost[ONE] == (8, 0)


def test_power_goes_with_the_database_in_memory() -> None:
    made = router(flash=False)
    moved(made, WEB, 701_256)
    nlbw(made, ["-c", "commit"])
    made.cut_power()
    assert value(after(made, BOOT + START)) is None
    assert value(made, label="2026-11-01") is None


def test_killed_over_a_boundary_old_totals_go_on() -> None:
    """Recorded (edge-D-to-F, D)."""
    made = router("2026-12-31T23:59:00")
    moved(made, WEB, 3_004_948)
    made.kill()
    made.advance(clock("2027-01-02T00:00"))
    made.start()
    assert value(made) == 3_004_948
    assert value(made, label="2027-01-01") is None


def test_stopped_and_started_over_a_boundary_it_begins_empty() -> None:
    """Recorded (edge-D-to-F, D2)."""
    made = router("2027-01-31T23:00")
    moved(made, WEB, 3_004_948)
    made.stop()
    go(made, "2027-02-01T01:00").start()
    assert value(made) is None
    assert value(made, label="2027-01-01") == 3_004_948


def test_a_clean_restart_keeps_all_and_catches_up_with_what_is_open() -> None:
    """Recorded (edge-restart)."""
    made = router()
    moved(made, WEB, 1_002_252)
    made.stop()
    made.move(WEB, 1_040, 0)
    made.move(SSH, 500, 0)
    made.start()
    assert value(made) == 1_002_252
    assert value(after(made, 30)) == 1_003_292
    assert value(made, SSH) is None  # it began unseen, and is never counted


def test_rows_that_others_drive_out() -> None:
    """Recorded (edge-limit)."""
    made = router(limit=4)
    for key, down in ((WEB, 501_048), (WEB2, 100_476), (HTTP, 1_216), (SSH, 1_216)):
        moved(made, key, down)
    moved(made, OTHER, 1_216)
    assert value(made, WEB) is None
    moved(made, DNS2, 624)
    assert value(made, WEB2) is None
    made.close(WEB)
    after(made, 30)
    moved(made, WEB, 701_412)
    assert value(made, HTTP) is None
    rows = json_rows(nlbw(made, ["-c", "json"]).out.encode()).rows
    assert [(row.mac, row.port, row.rx_bytes) for row in rows] == [
        (ONE, 443, 701_412),
        (ONE, 0, 1_216),
        (ONE, 22, 1_216),
        (TWO, 53, 624),
    ]


def test_a_clock_that_is_behind_at_boot_destroys_a_month() -> None:
    """Recorded (edge-clock, E): January's 2,003,232 as if they were current, then 0, then February's file is gone."""
    made = router("2027-01-31T23:00")
    moved(made, WEB, 2_003_232)
    go(made, "2027-02-01T01:00")
    assert value(made) == 0
    moved(made, WEB, 7_009_576)
    nlbw(made, ["-c", "commit"])
    made.cut_power(behind=86_400.0)
    after(made, BOOT + START + 1)
    assert value(made) == 2_003_232
    after(made, NTP + 30)
    assert value(made) is None
    assert value(made, label="2027-02-01") == 7_009_576
    moved(made, WEB2, 5_216)
    nlbw(made, ["-c", "commit"])
    assert value(made, label="2027-02-01") is None
    assert value(made, WEB2, label="2027-02-01") == 5_216
    assert value(made, label="2027-01-01") == 2_003_232


def test_a_commit_before_the_rollover_puts_old_totals_into_the_new_file() -> None:
    """Recorded (edge-clock, I)."""
    made = Router(start=clock("2026-11-30T23:59:00"), flash=True, options=Options(refresh=120.0))
    made.move(WEB, 1_000, 0)
    assert made.daemon is not None
    made.daemon.refresh()
    made.advance(clock("2026-12-01T00:00:02"))
    nlbw(made, ["-c", "commit"])
    assert value(made, label="2026-12-01") == 1_000
    go(made, "2026-12-01T00:02")
    assert (value(made), value(made, label="2026-11-01")) == (0, 1_000)


def test_a_full_disk_at_the_rollover_freezes_all_values() -> None:
    """Recorded (edge-kernel-disk, R)."""
    made = router("2026-11-30T23:00")
    moved(made, WEB, 1_001_932)
    made.disk.full = True
    assert nlbw(made, ["-c", "commit"]) == ("28 No space left on device\n", 228, "")
    go(made, "2026-12-01T00:01")
    moved(made, WEB, 501_152)
    assert value(made) == 1_001_932
    made.disk.full = False
    assert value(after(made, 30)) == 501_152
    assert value(made, label="2026-11-01") == 1_001_932


def test_without_the_kernels_events_there_is_nothing_until_the_month_ends() -> None:
    """Recorded (edge-noevents)."""
    made = router("2026-11-30T23:00")
    made.kernel.events = False
    moved(made, WEB, 10_000)
    assert '"data":[]' in nlbw(made, ["-c", "json"]).out
    go(made, "2026-12-01T00:01")
    moved(made, WEB, 624)
    moved(made, WEB2, 500)
    assert (value(made), value(made, WEB2)) == (624, None)


def test_a_file_that_is_cut_off_ends_the_daemon_for_good() -> None:
    """Recorded (edge-corrupt)."""
    made = router()
    moved(made, WEB, 1_000)
    made.cut_power(corrupt=True)
    after(made, BOOT + START + 3_600)
    assert nlbw(made, ["-c", "json"]).status == 247
    made.repair()
    assert nlbw(made, ["-c", "json"]).status == 0
    assert value(made) is None


def test_the_list_stops_at_a_file_that_is_cut_off() -> None:
    made = router("2026-11-20T23:00", interval="2026-11-16/1")
    for at in ("2026-11-21T00:01", "2026-11-22T00:01"):
        go(made, at)
    nlbw(made, ["-c", "commit"])
    assert listed(made) == ["2026-11-22", "2026-11-21", "2026-11-20", "2026-11-19"]
    made.disk.files["20261121"].corrupt = True
    assert listed(made) == ["2026-11-22"]
    assert nlbw(made, ["-c", "json", "-t", "2026-11-21"]).status == 195
    assert nlbw(made, ["-c", "json", "-t", "2026-11-20"]).status == 0


def test_a_limit_below_what_is_stored_ends_the_daemon() -> None:
    """Recorded (edge-limit, L)."""
    made = router()
    moved(made, WEB, 1)
    moved(made, WEB2, 1)
    made.stop()
    made.options = Options(limit=1)
    made.start()
    assert made.daemon is None


def test_old_files_go_when_the_daemon_starts() -> None:
    """Recorded (edge-rest, U)."""
    made = Router(start=clock("2026-11-20T12:00"), flash=True, options=Options(interval="2026-11-16/1", generations=3))
    go(made, "2026-11-26T00:01")
    assert len(made.disk.files) == 7
    made.stop()
    made.start()
    assert sorted(made.disk.files) == ["20261124", "20261125", "20261126"]


@pytest.mark.parametrize(("zone", "label"), [(0, "20261119"), (-5 * 3600, "20261118"), (13 * 3600, "20261119")])
def test_periods_of_days_end_at_utc_midnight_and_are_named_by_the_local_day(zone: int, label: str) -> None:
    """Recorded (edge-interval)."""
    made = Router(start=clock("2026-11-19T12:00"), options=Options(interval="2026-11-16/1"))
    made.zone = zone
    made.stop()
    made.start()
    go(made, "2026-11-20T00:01")
    assert label in made.disk.files


def test_clients_without_a_mac_are_told_apart_by_address() -> None:
    made = router()
    moved(made, Key(4, "TCP", 443, NO_MAC, "10.8.0.2"), 40_372)
    moved(made, Key(4, "TCP", 443, NO_MAC, "10.8.0.3"), 60_424)
    assert made.truth.metered["10.8.0.2"] == (40_372, 0)
    assert made.truth.metered["10.8.0.3"] == (60_424, 0)
