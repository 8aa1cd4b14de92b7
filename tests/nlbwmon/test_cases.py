"""The ways a value of nlbwmon goes down (nlbwmon reference, §1.5), with the numbers that were recorded, to the byte."""

import pytest

from exporter.model import CounterKey
from exporter.sources.nlbwmon.payload import Rows, json_rows
from exporter.sources.nlbwmon.readings import Readings
from tests.nlbwmon.recorded import AFTER, CLOSED, JSON
from tests.nlbwmon.router import ONE, TWO, Exporter, Router, row

NOV, DEC, JAN, FEB = "20261101", "20261201", "20270101", "20270201"
MIDNIGHT = "2026-12-01T00:00:10"


def november(*, exporter_sees: int = 1_000) -> Exporter:
    """A router in November whose client moved 5000 bytes until the baseline, and has shown so many more since."""
    router = Router("2026-11-30T12:00").shows(row(ONE, 5_000, 500))
    exporter = Exporter(router)
    exporter.settle()
    router.at_time("2026-11-30T23:59:50").shows(row(ONE, 5_000 + exporter_sees, 500))
    exporter.poll()
    assert exporter.total() == (exporter_sees, 0)
    return exporter


def test_case01_a_rollover_counts_the_tail_and_the_new_period() -> None:
    exporter = november()
    exporter.router.at_time(MIDNIGHT).writes(NOV, row(ONE, 6_300, 520)).shows(row(ONE, 70, 7))
    exporter.poll()
    assert exporter.router.asked[-1] == (NOV,)
    assert exporter.total() == (1_000 + 300 + 70, 20 + 7)
    assert exporter.event() == {"rollover"}


def test_case01_with_the_recorded_month() -> None:
    router = Router("2026-11-30T23:50").shows(*json_rows(JSON).rows)
    exporter = Exporter(router)
    exporter.poll()
    closed, after = json_rows(CLOSED), json_rows(AFTER)
    router.at_time(MIDNIGHT).writes(NOV, *closed.rows).shows(*after.rows)
    exporter.poll()

    def up(rows: Rows) -> int:
        return sum(row.tx_bytes for row in rows.rows if row.mac == TWO)

    assert exporter.total(TWO) == (2_992 - 2_100 + 1_872, 877_172 - 801_216 + 176_872)
    assert up(closed) - up(json_rows(JSON)) + up(after) == exporter.total(TWO)[1]
    assert exporter.total(ONE) == (0, 0)


def test_case01_a_trace_over_midnight() -> None:
    """Recorded every two seconds: closed 75,956 + current 176,872 = 252,828 = everything sent."""
    router = Router("2026-11-30T23:59:30").shows()
    exporter = Exporter(router)
    exporter.poll()
    for shown in (15_332, 35_540, 55_748):
        router.at += 2
        exporter.router.shows(row(ONE, 0, shown))
        exporter.poll()
    router.at_time("2026-12-01T00:00:01").writes(NOV, row(ONE, 0, 75_956))
    for shown in (20_208, 40_416, 161_664, 176_872, 176_872):
        router.shows(row(ONE, 0, shown))
        exporter.poll()
        router.at += 2
    assert exporter.total() == (0, 252_828)


def test_case01_until_the_daemon_has_rolled_over_it_is_in_the_old_period() -> None:
    exporter = november()
    exporter.router.at_time("2026-12-01T00:00:05").shows(row(ONE, 6_200, 500))
    exporter.poll()
    assert exporter.total() == (1_200, 0)
    exporter.router.at_time("2026-12-01T00:00:20").writes(NOV, row(ONE, 6_300, 500)).shows(row(ONE, 9, 0))
    exporter.poll()
    assert exporter.total() == (1_309, 0)


def test_case01_a_row_that_only_the_closed_period_has_counts_there() -> None:
    exporter = november()
    exporter.router.at_time(MIDNIGHT).writes(NOV, row(ONE, 6_300, 500), row(TWO, 40, 4)).shows()
    for _ in range(3):
        exporter.poll()
    assert exporter.total(ONE) == (1_300, 0)
    assert exporter.total(TWO) == (40, 4)
    exporter.router.shows(row(ONE, 11, 0))
    exporter.poll()
    assert exporter.total(ONE) == (1_311, 0)


def test_case01_a_poll_that_is_not_committed_loses_nothing() -> None:
    exporter = november()
    exporter.router.at_time(MIDNIGHT).writes(NOV, row(ONE, 6_300, 500)).shows(row(ONE, 70, 0))
    for _ in range(10):
        exporter.poll(committed=False)
    exporter.router.shows(row(ONE, 90, 0))
    exporter.poll()
    assert exporter.total() == (1_390, 0)
    for _ in range(30):
        exporter.poll()
    assert exporter.total() == (1_390, 0)


def test_case01_after_a_start_of_the_exporter_the_tail_counts_too() -> None:
    exporter = november()
    exporter.restart()
    exporter.router.at_time("2026-12-03T12:00").writes(DEC, row(ONE, 60, 0))
    exporter.router.files[NOV] = (exporter.router.files[DEC][0] - 2.4 * 86_400, (row(ONE, 6_300, 500),))
    exporter.router.shows(row(ONE, 70, 0))
    exporter.poll()
    assert exporter.total() == (1_370, 0)


def test_case01_a_silence_over_three_periods_counts_them_all() -> None:
    router = Router("2026-11-20T00:00:10", interval="2026-11-16/1").writes("20261119").at_time("2026-11-20T12:00")
    exporter = Exporter(router.shows(row(ONE, 5_000, 0)))
    exporter.settle()
    for day, moved in (("20261120", 5_300), ("20261121", 40), ("20261122", 500)):
        router.at_time(f"2026-11-{int(day[-2:]) + 1}T00:00:10").writes(day, row(ONE, moved, 0))
    router.at_time("2026-11-23T12:00").shows(row(ONE, 6, 0))
    exporter.poll()
    assert exporter.total() == (300 + 40 + 500 + 6, 0)


def test_case01_a_period_whose_file_was_deleted_is_never_counted_twice() -> None:
    """Without the file of the 19th the daemon seems to be in it still: what the file of the 20th holds was counted."""
    router = Router("2026-11-20T12:00", interval="2026-11-16/1").shows(row(ONE, 5_000, 0))
    exporter = Exporter(router)
    exporter.settle()
    router.at_time("2026-11-21T00:00:10").writes("20261120", row(ONE, 5_300, 0)).shows(row(ONE, 6, 0))
    exporter.poll()
    assert exporter.total() == (6, 0)


def test_case01_an_overtaken_value_still_is_a_rollover() -> None:
    exporter = november()
    exporter.router.at_time(MIDNIGHT).writes(NOV, row(ONE, 6_300, 500)).shows(row(ONE, 8_000, 0))
    exporter.poll()
    assert exporter.total() == (1_000 + 300 + 8_000, 0)


def test_case01_without_any_file_a_fall_after_the_boundary_is_a_rollover() -> None:
    exporter = november()
    exporter.router.at_time(MIDNIGHT).shows(row(ONE, 70, 0))
    exporter.poll()
    assert exporter.total() == (1_070, 0)
    assert exporter.event() == {"rollover"}


def test_case02_a_reboot_with_the_database_in_memory() -> None:
    exporter = november()
    exporter.router.at_time("2026-11-30T23:59:58").restarts(reboot=True).shows(row(ONE, 7_000, 30))
    exporter.poll()
    assert exporter.router.asked[-1] == (NOV,)
    assert exporter.total() == (8_000, 30)


def test_case03_a_power_cut_falls_back_to_the_last_commit() -> None:
    """Recorded (smoke): 1,602,720 before the power loss, 701,256 after it, which was the last commit."""
    router = Router("2026-12-05T12:00").shows(row(ONE, 701_256, 1_005))
    exporter = Exporter(router)
    exporter.poll()
    router.writes(DEC, row(ONE, 701_256, 1_005)).shows(row(ONE, 1_602_720, 1_958))
    exporter.poll()
    assert exporter.total() == (901_464, 953)
    router.at += 60
    router.restarts(reboot=True).shows(row(ONE, 701_256, 1_005))
    exporter.poll()
    assert exporter.total() == (901_464, 953)
    router.writes(DEC, row(ONE, 999_999, 1_005)).shows(row(ONE, 701_356, 1_005))
    exporter.poll()
    assert exporter.total() == (901_564, 953)


def test_case03_a_power_cut_soon_after_a_restart_counts_from_the_file_as_well() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 5_000, 50))
    exporter = Exporter(router)
    exporter.poll()
    router.writes(NOV, row(ONE, 5_000, 50)).restarts()
    exporter.poll()
    router.shows(row(ONE, 5_300, 53))
    exporter.poll()
    router.restarts(reboot=True).shows(row(ONE, 5_000, 50))
    exporter.poll()
    router.shows(row(ONE, 6_000, 60))
    exporter.poll()
    assert exporter.total() == (1_300, 13)


@pytest.mark.parametrize(("before", "after"), [(3_004_948, 3_004_948), (1_002_252, 1_003_292)])
def test_case04_a_restart_that_keeps_its_totals(before: int, after: int) -> None:
    """Recorded: SIGKILL with /tmp/0.db kept, and a clean restart with a flow that was open."""
    router = Router("2026-12-05T12:00").shows(row(ONE, before - 1_000, 0))
    exporter = Exporter(router)
    exporter.poll()
    router.shows(row(ONE, before, 0))
    exporter.poll()
    router.at += 60
    router.writes(DEC, row(ONE, before, 0)).restarts().shows(row(ONE, after, 0))
    exporter.poll()
    assert exporter.total() == (1_000 + after - before, 0)


def test_case04_a_kill_whose_file_is_older_than_the_kept_totals() -> None:
    exporter = november()
    exporter.router.writes(NOV, row(ONE, 2_000, 100)).restarts().shows(row(ONE, 6_050, 500))
    exporter.poll()
    assert exporter.total() == (1_050, 0)


def test_case05_killed_and_restarted_over_a_boundary_old_totals_go_on() -> None:
    """Recorded (edge-D-to-F, D): 3,004,948 in December, and the same in January."""
    router = Router("2026-12-20T12:00").shows(row(ONE, 2_000_000, 0))
    exporter = Exporter(router)
    exporter.poll()
    router.writes(DEC, row(ONE, 2_500_000, 0)).shows(row(ONE, 3_004_948, 0))
    exporter.poll()
    router.at_time("2027-01-02T12:00").restarts().shows(row(ONE, 3_004_948, 0))
    exporter.poll()
    assert exporter.total() == (1_004_948, 0)
    assert {counter.mark[-8:] for counter in exporter.memory.counters.values()} == {JAN}


def test_case05_stopped_and_started_over_a_boundary_it_begins_empty() -> None:
    """Recorded (edge-D-to-F, D2): nothing in February, 3,004,948 in January's file."""
    router = Router("2027-01-20T12:00").shows(row(ONE, 3_000_000, 0))
    exporter = Exporter(router)
    exporter.poll()
    router.writes(JAN, row(ONE, 3_004_948, 0)).at_time("2027-02-03T12:00").restarts().shows()
    exporter.poll()
    router.shows(row(ONE, 50, 0))
    exporter.poll()
    assert exporter.total() == (4_948 + 50, 0)


def test_case06_a_row_that_is_driven_out_and_back_before_the_next_poll_begins_again() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 500_000, 900), row(ONE, 1, 1, port=80))
    router.limit = 2
    exporter = Exporter(router)
    exporter.poll()
    router.shows(row(ONE, 3_000, 30), row(ONE, 1, 1, port=80))
    exporter.poll()
    assert exporter.total() == (3_000, 30)
    router.shows(row(ONE, 4_000, 40), row(ONE, 1, 1, port=80))
    exporter.poll()
    assert exporter.total() == (4_000, 40)


def test_case06_below_the_limit_a_lower_value_is_false() -> None:
    router = Router("2026-11-20T12:00").shows(row(ONE, 500_000, 900), row(ONE, 1, 1, port=80))
    router.limit = 3
    exporter = Exporter(router)
    exporter.poll()
    router.shows(row(ONE, 3_000, 30), row(ONE, 1, 1, port=80))
    exporter.poll()
    assert exporter.total() == (0, 0)


def test_case06_rows_that_others_drive_out_begin_again_from_zero() -> None:
    """Recorded (edge-limit): 503,480 falls to 3,648 within a period, and rises to 703,844."""
    router = Router("2026-11-20T12:00").shows()
    router.limit = 4
    exporter = Exporter(router)
    exporter.poll()
    web, http, ssh = row(ONE, 501_048, 901), row(ONE, 1_216, 327, port=80), row(ONE, 1_216, 327, port=22)
    other = row(ONE, 1_216, 327, port=0)
    router.shows(web, http, ssh)
    exporter.poll()
    assert exporter.total() == (503_480, 1_555)
    router.shows(http, ssh, other)
    exporter.poll()
    assert exporter.total() == (504_696, 1_882)
    router.shows(row(ONE, 701_412, 1_473), ssh, other)
    exporter.poll()
    assert exporter.total() == (504_696 + 701_412, 1_882 + 1_473)


def test_case07_while_the_routers_clock_is_wrong_nothing_counts() -> None:
    """Recorded (edge-clock, E): 7,009,576 in February, January's 2,003,232 at the boot, then 0."""
    router = Router("2027-02-09T12:00").shows(row(ONE, 7_000_000, 0))
    exporter = Exporter(router)
    exporter.poll()
    router.writes(FEB, row(ONE, 7_009_576, 0)).shows(row(ONE, 7_009_576, 0))
    exporter.poll()
    right = router.at
    router.at_time("2027-01-20T12:00").restarts(reboot=True).shows(row(ONE, 2_003_232, 0))
    exporter.poll(ahead=right - router.at)
    assert "clock is 28800 minutes behind ours" in exporter.notices[0]
    assert exporter.total() == (9_576, 0)
    router.at = right + 60
    router.started = router.at - 60
    for shown in (0, 0, 5_216):
        router.shows(row(ONE, shown, 0))
        exporter.poll()
        router.at += 60
    assert exporter.total()[0] <= 9_576 + 5_216
    router.writes(FEB, row(ONE, 5_216, 0)).shows(row(ONE, 6_216, 0))
    before = exporter.total()[0]
    exporter.poll()
    assert exporter.total()[0] == before + 1_000


def test_case07_october_shown_for_a_moment_after_ntp_is_not_novembers() -> None:
    """The daemon closes October with the refresh that follows; no file says so until then."""
    exporter = november()
    router = exporter.router
    router.at_time("2026-11-30T22:00").writes(NOV, row(ONE, 4_000, 400))
    router.at_time("2026-11-30T22:30").restarts(reboot=True)
    right, router.at = router.at + 60, router.at - 31 * 86_400
    router.shows(row(ONE, 90_000, 9_000))
    exporter.poll(ahead=right - router.at)
    router.at, router.started = right, right - 60
    exporter.poll()
    assert exporter.total() == (1_000, 0)
    router.at += 25
    router.writes("20261001", row(ONE, 90_000, 9_000)).shows(row(ONE, 30, 3))
    exporter.poll()
    assert exporter.total() == (1_030, 3)


def test_case07_nor_for_an_exporter_that_was_away() -> None:
    exporter = november()
    router = exporter.router
    router.at_time("2026-11-30T22:00").writes(NOV, row(ONE, 4_000, 400))
    router.at_time("2026-11-30T22:30").restarts(reboot=True).shows(row(ONE, 90_000, 9_000))
    exporter.restart()
    exporter.poll()
    assert exporter.total() == (1_000, 0)
    router.at += 25
    router.writes("20261001", row(ONE, 90_000, 9_000)).shows(row(ONE, 30, 3))
    exporter.poll()
    assert exporter.total() == (1_030, 3)


def late_clock() -> Exporter:
    """A power cut in November, of which there is a file, and a boot in October; then NTP, and a rollover from there."""
    exporter = november()
    router = exporter.router
    router.at_time("2026-11-29T22:00").writes(NOV, row(ONE, 4_000, 400), row(TWO, 10, 10))
    router.at_time("2026-11-30T23:50:20").restarts(reboot=True)
    router.at_time("2026-11-30T23:55:00").writes("20261001", row(ONE, 90_000, 9_000)).shows(row(ONE, 300, 30))
    return exporter


def test_case07_who_comes_back_after_ntp_counts_from_the_rollover_to_the_right_month() -> None:
    exporter = late_clock()
    exporter.restart()
    exporter.poll()
    assert exporter.total() == (1_300, 30)
    exporter.router.at += 60
    exporter.router.shows(row(ONE, 340, 34))
    exporter.poll()
    assert exporter.total() == (1_340, 34)


def test_case07_where_every_row_is_above_the_file_the_rollover_is_not_proved() -> None:
    """A clock that was ahead when the older period closed tells the same; then these rows went on from the file."""
    exporter = late_clock()
    exporter.router.shows(row(ONE, 4_300, 430), row(TWO, 10, 10))
    exporter.poll()
    assert exporter.total() == (1_000, 0)


def test_case07_where_rows_may_have_been_driven_out_the_rollover_is_not_proved() -> None:
    exporter = late_clock()
    exporter.router.limit = 2
    exporter.poll()
    assert exporter.total() == (1_000, 0)


def test_case09_a_commit_before_the_rollover_changes_nothing() -> None:
    """Recorded (edge-clock, I): December's file briefly holds November's totals."""
    exporter = november()
    exporter.router.at_time("2026-12-01T00:00:05").writes(DEC, row(ONE, 6_000, 500)).shows(row(ONE, 6_100, 500))
    exporter.poll()
    assert exporter.total() == (1_100, 0)
    exporter.router.at_time("2026-12-01T00:00:25").writes(NOV, row(ONE, 6_100, 500)).shows(row(ONE, 30, 0))
    exporter.poll()
    assert exporter.total() == (1_130, 0)


def test_case09_a_crash_right_after_it_leaves_a_file_that_is_not_believed() -> None:
    exporter = november()
    exporter.router.at_time("2026-12-01T00:00:05").writes(DEC, row(ONE, 6_000, 500)).shows(row(ONE, 6_100, 500))
    exporter.router.at_time("2026-12-01T00:00:25").writes(NOV, row(ONE, 6_100, 500)).shows(row(ONE, 30, 0))
    exporter.poll()
    exporter.router.at_time("2027-01-02T00:00:00").restarts(reboot=True).shows(row(ONE, 5, 0))
    exporter.poll()
    assert exporter.total() == (1_000 + 100 + 30 + 5, 0)


def test_case12_a_stale_file_that_wins_at_a_clean_restart() -> None:
    """Recorded (edge-kernel-disk, S): 4,006,880 falls to 1,001,932."""
    router = Router("2026-11-20T12:00").shows(row(ONE, 4_000_000, 0)).writes(NOV, row(ONE, 1_001_932, 0))
    exporter = Exporter(router)
    exporter.poll()
    router.shows(row(ONE, 4_006_880, 0))
    exporter.poll()
    router.at += 60
    router.restarts(cleared=True).shows(row(ONE, 1_002_032, 0))
    exporter.poll()
    assert exporter.total() == (6_980, 0)


def test_case13_a_changed_interval_begins_an_empty_period() -> None:
    """Recorded (edge-interval, J2): 7 days before, monthly now, the old file still readable."""
    router = Router("2026-11-20T12:00", interval="2026-11-16/7").shows(row(ONE, 500_000, 0))
    exporter = Exporter(router)
    exporter.poll()
    router.at += 60
    router.writes("20261116", row(ONE, 501_100, 0)).restarts(cleared=True).shows(row(ONE, 80, 0))
    router.interval = "1"
    exporter.poll()
    assert exporter.total() == (80, 0)


def test_case14_a_full_disk_keeps_the_old_period_running() -> None:
    """Recorded (edge-kernel-disk, R): 1,001,932 stands over midnight, then 501,152 in the new period."""
    router = Router("2026-11-30T23:00").shows(row(ONE, 1_000_000, 0))
    exporter = Exporter(router)
    exporter.poll()
    for at in ("2026-12-01T00:10", "2026-12-04T00:00"):
        router.at_time(at).shows(row(ONE, 1_001_932, 0))
        exporter.poll()
        assert exporter.total() == (1_932, 0)
    router.writes(NOV, row(ONE, 1_001_932, 0)).shows(row(ONE, 501_152, 0))
    exporter.poll()
    assert exporter.total() == (1_932 + 501_152, 0)


def test_another_router_is_a_baseline() -> None:
    exporter = november()
    exporter.readings = Readings("SHA256:another")
    exporter.router.shows(row(ONE, 9_000, 500))
    exporter.poll()
    assert exporter.total() == (1_000, 0)


def test_what_a_counter_is_known_by() -> None:
    exporter = november()
    assert CounterKey("client", "", f"4|TCP|443|{ONE}|192.168.1.101") in exporter.memory.counters


def test_case02_a_reboot_while_the_exporter_was_down_counts_even_where_it_overtook() -> None:
    exporter = november()
    exporter.router.restarts(reboot=True).shows(row(ONE, 7_000, 30))
    exporter.restart()
    exporter.poll()  # its clock may have been set right a moment ago: see case 7
    exporter.router.at += 40
    exporter.poll()
    assert exporter.total() == (8_000, 30)


def test_case03_a_power_cut_while_the_exporter_was_down_counts_from_the_file() -> None:
    exporter = november()
    exporter.router.writes(NOV, row(ONE, 4_000, 400)).restarts(reboot=True).shows(row(ONE, 4_090, 410))
    exporter.restart()
    exporter.poll()  # its clock may have been set right a moment ago: see case 7
    exporter.router.at += 40
    exporter.poll()
    assert exporter.total() == (1_090, 10)


def test_case04_a_clean_restart_while_the_exporter_was_down_goes_on() -> None:
    exporter = november()
    exporter.router.writes(NOV, row(ONE, 6_100, 500)).restarts().shows(row(ONE, 6_150, 500))
    exporter.restart()
    exporter.poll()
    assert exporter.total() == (1_150, 0)


def test_the_life_of_another_router_proves_nothing() -> None:
    exporter = november()
    exporter.readings = Readings("SHA256:key", "SHA256:another|boot-1|100|20261101")
    exporter.router.at_time(MIDNIGHT).writes(NOV, row(ONE, 6_300, 0)).shows(row(ONE, 70, 0))
    exporter.poll()
    assert exporter.total() == (1_070, 0)


def test_case04_killed_after_a_reading_that_no_copy_holds_counts_nothing() -> None:
    """Ended connections raise rows between two refreshes, and /tmp/0.db is of the last one."""
    exporter = november()
    exporter.router.writes(NOV, row(ONE, 2_000, 100)).restarts().shows(row(ONE, 5_950, 500))
    exporter.poll()
    assert exporter.total() == (1_000, 0)
    exporter.router.shows(row(ONE, 6_050, 500))
    exporter.poll()
    assert exporter.total() == (1_100, 0)


@pytest.mark.parametrize("cleared", [False, True])
def test_case04_killed_right_after_a_rollover_the_old_period_counts_once(cleared: bool) -> None:
    """A rollover leaves /tmp/0.db as it was, for a refresh; and a stop may write what came of it into the new file."""
    exporter = november()
    router = exporter.router.at_time("2026-12-01T00:00:05").writes(NOV, row(ONE, 6_300, 500)).shows(row(ONE, 20, 0))
    exporter.poll()
    assert exporter.total() == (1_320, 0)
    router.at += 10
    router.restarts().shows(row(ONE, 6_250, 500))
    if cleared:
        router.writes("20261201", row(ONE, 6_250, 500)).restarts(cleared=True)
    exporter.poll()
    assert exporter.total() == (1_320, 0)
    router.shows(row(ONE, 6_400, 500))
    exporter.poll()
    assert exporter.total() == (1_470, 0)


def test_case04_a_file_that_such_a_daemon_closed_is_not_believed() -> None:
    exporter = november()
    router = exporter.router.at_time("2026-12-01T00:00:05").writes(NOV, row(ONE, 6_300, 500)).shows(row(ONE, 20, 0))
    exporter.poll()
    router.at += 10
    router.restarts()
    router.at_time("2027-01-01T00:00:05").writes("20261201", row(ONE, 9_000, 500)).shows(row(ONE, 7, 0))
    exporter.poll()
    assert exporter.total() == (1_320 + 7, 0)


def test_case04_after_a_refresh_in_the_new_period_a_kill_costs_nothing() -> None:
    exporter = november()
    router = exporter.router.at_time("2026-12-01T00:00:05").writes(NOV, row(ONE, 6_300, 500)).shows(row(ONE, 20, 0))
    exporter.poll()
    router.at_time("2026-12-01T00:02").shows(row(ONE, 90, 0))
    exporter.poll()
    router.restarts().shows(row(ONE, 130, 0))
    exporter.poll()
    assert exporter.total() == (1_300 + 130, 0)


def test_case01_rows_that_a_rollover_took_count_once_after_a_start_of_the_exporter() -> None:
    """The new period had no row yet when it was read last."""
    exporter = november()
    router = exporter.router.at_time(MIDNIGHT).writes(NOV, row(ONE, 6_300, 500)).shows()
    exporter.poll()
    assert exporter.total() == (1_300, 0)
    router.at_time("2026-12-01T09:00").restarts(cleared=True).shows(row(ONE, 40, 0))
    exporter.restart()
    exporter.poll()
    assert exporter.total() == (1_300, 0)


def test_case06_a_kill_may_bring_back_what_a_full_table_drove_out() -> None:
    exporter = november()
    exporter.router.limit = 1
    exporter.router.shows(row(TWO, 10, 0))
    exporter.poll()
    exporter.router.shows(row(ONE, 10, 0))
    exporter.poll()
    total = exporter.total()
    exporter.router.restarts().shows(row(ONE, 6_000, 0))
    exporter.poll()
    assert exporter.total() == total


def late_storage(*, before: bool) -> Exporter:
    """The file is on a disk that is there only after the daemon. before: it was looked at in between."""
    exporter = Exporter(Router("2026-11-20T12:00").shows(row(ONE, 5_000, 500)))
    exporter.settle()
    exporter.router.writes(NOV, row(ONE, 6_000, 500)).shows(row(ONE, 6_000, 500))
    exporter.poll()
    disk = dict(exporter.router.files)
    exporter.router.at += 60
    exporter.router.restarts(reboot=True).shows(row(ONE, 40, 0))
    if before:
        exporter.router.files.clear()
        exporter.poll()
        assert exporter.total() == (1_040, 0)
    exporter.router.files.update(disk)
    exporter.poll()
    exporter.router.at += 30
    exporter.poll()
    return exporter


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_file_that_is_added_to_the_rows_later_is_not_counted_again(before: bool, restarted: bool) -> None:
    """From source: a daemon that found no file adds one that is there at its first commit (save_persistent())."""
    exporter = late_storage(before=before)
    total = exporter.total()[0]
    if restarted:
        exporter.restart()
        exporter.poll()
    exporter.router.at += 30
    exporter.router.writes(NOV, row(ONE, 6_060, 500)).shows(row(ONE, 6_070, 500))
    exporter.poll()
    assert exporter.total() == (total, 0)
    exporter.restart()
    exporter.router.shows(row(ONE, 6_100, 500))
    exporter.poll()
    assert exporter.total() == (total + 30, 0)


def test_a_file_that_is_overwritten_costs_nothing() -> None:
    exporter = late_storage(before=False)
    total = exporter.total()[0]
    exporter.router.at += 30
    exporter.router.writes(NOV, row(ONE, 60, 0)).shows(row(ONE, 70, 0))
    exporter.poll()
    assert exporter.total() == (total + 30, 0)


def test_case07_rows_loaded_while_the_clock_was_ahead_are_not_counted_again() -> None:
    """The clock was two days ahead, so the stop before a boot wrote October's last day's rows into November's file."""
    router = Router("2026-10-30T12:00").shows(row(ONE, 5_000, 0))
    exporter = Exporter(router)
    exporter.settle()
    router.at += 60
    router.writes(NOV, row(ONE, 5_000, 0)).restarts(reboot=True)
    for _ in range(3):
        router.at += 40
        exporter.poll()
    assert exporter.total() == (0, 0)
    router.shows(row(ONE, 5_070, 0))
    exporter.poll()
    assert exporter.total() == (70, 0)
