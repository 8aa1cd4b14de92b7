"""The blocks that the benchmark of the dashboards writes are Prometheus' own: a real one reads what is in them."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.blocks import CHUNK, Samples, Series, sorted_series, write
from tests.e2e.stored import Stored

END: Final = 1_780_358_400
STEP: Final = 30
MANY: Final = 3000 if os.environ.get("SOAK") else 300


def test_what_is_written_is_read(tmp_path: Path) -> None:
    random = Random(1)
    counted = 0.0
    patterns: dict[str, list[float]] = {"counter": [], "noise": [], "same": [1.0] * MANY}
    patterns["odd"] = [(0.0, 5e-324, -1.7e308, 3.14, 2.0**53, -0.5, 7.0)[place * place % 7] for place in range(MANY)]
    for _ in range(MANY):
        counted += random.choice((0, 0, random.randrange(10**9)))
        patterns["counter"].append(counted)
        patterns["noise"].append(random.uniform(-70, 5))
    series = sorted_series(
        Series((("__name__", "moved"), ("client", f'02:{number:02x} "ä\n'), ("pattern", name)), name)
        for name in patterns
        for number in range(70)
    )
    first = END - (MANY - 1) * STEP
    cut = CHUNK + 17
    server = Stored(tmp_path / "prometheus", float(END))
    for number, place, end in ((1, 0, cut), (2, cut, MANY)):
        begun = (first + place * STEP) * 1000
        samples = {name: Samples(begun, STEP * 1000, values[place:end]) for name, values in patterns.items()}
        write(server.tsdb, number, series, samples)
    server.start()
    try:
        for name, values in patterns.items():
            [found] = server.ask(f'moved{{pattern="{name}",client=~"02:2a[^x]+"}}[{MANY * STEP}s]').series
            assert found["metric"]["client"] == '02:2a "ä\n'
            assert [(at, float(value)) for at, value in found["values"]] == [
                (first + place * STEP, value) for place, value in enumerate(values)
            ]
        assert [value for _, value in server.ask("count(moved)").values()] == [280.0]
        assert len(server.labels("client", 'moved{pattern="odd"}', 3600.0)) == 70
    finally:
        server.end()
