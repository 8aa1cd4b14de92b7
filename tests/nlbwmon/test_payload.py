"""Text of the wire to records: recorded outputs of a real nlbw, hostile ones, and whatever Hypothesis thinks of."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.nlbwmon.payload import (
    PayloadError,
    Row,
    Rows,
    Section,
    begin,
    csv_rows,
    files,
    host_names,
    json_rows,
    lease_names,
    sections,
    settings,
)
from tests.nlbwmon.recorded import CLOSED, COLUMNS, CSV, EMPTY, JSON

TOKEN = "0123456789abcdef"
ROW: list[Any] = [4, "TCP", 443, "02:aa:bb:cc:dd:01", "192.168.1.101", 1, 10, 2, 3, 4, "HTTPS"]


def document(*rows: Any, columns: list[str] | None = None) -> bytes:
    return json.dumps({"columns": columns or COLUMNS, "data": rows}).encode()


def exchange(*parts: tuple[str, str, int]) -> bytes:
    return "".join(f"\n{begin(TOKEN, name)}\n{text}\n{TOKEN}> {status}\n" for name, text, status in parts).encode()


def test_recorded_json() -> None:
    rows, bad = json_rows(JSON)
    assert len(rows) == 15
    assert not bad
    assert rows[0] == Row(4, "TCP", 443, "02:aa:bb:cc:dd:01", "192.168.1.101", 5005884, 113, 22310, 44, "HTTPS")
    assert rows[0].key == "4|TCP|443|02:aa:bb:cc:dd:01|192.168.1.101"
    assert rows[4].layer7 is None


def test_recorded_csv_says_the_same() -> None:
    assert csv_rows(CSV) == json_rows(JSON)


def test_recorded_empty_database() -> None:
    assert json_rows(EMPTY) == Rows([], Counter())
    assert csv_rows(CSV.split(b"\n")[0] + b"\n") == Rows([], Counter())


def test_a_closed_period_reads_like_the_running_one() -> None:
    assert sum(row.tx_bytes for row in json_rows(CLOSED).rows if row.mac.endswith("02")) == 878392


def test_columns_are_found_by_name() -> None:
    turned = document(ROW[::-1], columns=COLUMNS[::-1])
    assert json_rows(turned) == json_rows(document(ROW))
    assert json_rows(document([*ROW, 7], columns=[*COLUMNS, "more"])) == json_rows(document(ROW))


@pytest.mark.parametrize("columns", [COLUMNS[1:], [*COLUMNS, "ip"], ["x"]])
def test_other_columns_are_refused(columns: list[str]) -> None:
    with pytest.raises(PayloadError, match="columns"):
        json_rows(document(columns=columns))


def test_names_that_break_the_json_are_read_from_csv() -> None:
    name = 'He said "hi"\\ there'
    with pytest.raises(PayloadError):
        json_rows(document(ROW).replace(b"HTTPS", name.encode()))
    doubled = name.replace('"', '""')
    assert csv_rows(CSV.replace(b'"HTTPS"', f'"{doubled}"'.encode())).rows[0].layer7 == name
    assert csv_rows(CSV.replace(b'"HTTPS"', b'"A\tB"')).rows[0].layer7 == "A\tB"


def test_a_stray_quote_costs_its_own_line_only() -> None:
    rows, bad = csv_rows(CSV.replace(b'"DNS"', b'"D"NS'))
    assert len(rows) == 14
    assert bad == {"shape": 1}


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (0, 5, "address"),
        (0, 6, "address"),
        (0, True, "number"),
        (1, "", "shape"),
        (1, "a|b", "shape"),
        (1, None, "shape"),
        (2, 65_536, "number"),
        (2, "443", "number"),
        (3, "02:aa", "address"),
        (3, None, "address"),
        (4, "192.168.1.300", "address"),
        (4, "fe80::1%eth0", "address"),
        (6, -1, "number"),
        (6, 2**63, "number"),
        (8, 1.5, "number"),
        (9, None, "number"),
        (10, 7, "shape"),
    ],
)
def test_a_bad_row_costs_only_itself(place: int, value: object, reason: str) -> None:
    spoiled = [*ROW]
    spoiled[place] = value
    rows, bad = json_rows(document(ROW, spoiled, ROW[1:], {}, ROW))
    assert rows == json_rows(document(ROW, ROW)).rows
    assert bad == Counter({"shape": 2}) + Counter({reason: 1})


def test_addresses_are_written_in_one_way() -> None:
    long = [6, "TCP", 443, "02:AA:BB:CC:DD:01", "FD00:1:0:0::101", *ROW[5:]]
    assert json_rows(document(long)).rows[0].key == "6|TCP|443|02:aa:bb:cc:dd:01|fd00:1::101"


def test_sections_between_noise() -> None:
    output = b"  Welcome!\n" + exchange(("boot", "b1", 0), ("rows", "{}", 247)) + b"bye"
    assert sections(output, TOKEN) == {"boot": Section(0, b"b1"), "rows": Section(247, b"{}")}


def test_a_section_without_text_and_one_with_lines() -> None:
    assert sections(exchange(("one", "", 1), ("two", "a\nb\n", 0)), TOKEN) == {
        "one": Section(1, b""),
        "two": Section(0, b"a\nb\n"),
    }


def test_a_section_that_is_cut_off_is_none() -> None:
    output = exchange(("boot", "b1", 0), ("rows", "{}", 0))
    assert set(sections(output[:-4], TOKEN)) == {"boot"}
    assert sections(output, "another") == {}


def test_settings_leave_out_what_is_not_set() -> None:
    assert settings(b"database_interval=1\nrefresh_interval=\nnoise\n dir = /a=b \n") == {
        "database_interval": "1",
        "dir": "/a=b",
    }


def test_files_by_label() -> None:
    text = (
        b"100 /var/lib/nlbwmon/20261101.db\n200 /var/lib/nlbwmon/20261101.db.gz\n300 20261201.db.gz\n9 x.db\n5 0.db\n"
    )
    assert files(text) == {"20261101": 200.0, "20261201": 300.0}


def test_names() -> None:
    leases = b"1700000000 02:AA:bb:cc:dd:01 192.168.1.101 laptop 01:02\n1 02:aa:bb:cc:dd:02 192.168.1.102 * *\nduid x\n"
    assert list(lease_names(leases)) == [("02:aa:bb:cc:dd:01", "laptop")]
    hosts = (
        b"127.0.0.1 localhost\n::1 localhost\nff02::1 all\n192.168.1.9 nas nas.lan # box\nFD00::9 nas\n# x\nbad line\n"
    )
    assert list(host_names(hosts)) == [("192.168.1.9", "nas"), ("fd00::9", "nas")]


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: document(v, [v], ROW)))
def test_whatever_comes_nothing_but_our_own_error_is_raised(text: bytes) -> None:
    for read in (json_rows, csv_rows):
        try:
            rows = read(text)
        except PayloadError:
            continue
        assert all(isinstance(row, Row) for row in rows.rows)
    list(lease_names(text))
    list(host_names(text))
    files(text)
    settings(text)
    sections(text, TOKEN)


@given(st.lists(st.tuples(st.sampled_from(["a", "b-2", "rows"]), st.text(), st.integers(0, 255)), max_size=4))
def test_every_section_comes_back_as_it_was(parts: list[tuple[str, str, int]]) -> None:
    expected = {name: Section(status, text.encode()) for name, text, status in parts if "\r" not in text}
    written = exchange(*((name, text, status) for name, text, status in parts if "\r" not in text))
    assert sections(written, TOKEN) == expected
