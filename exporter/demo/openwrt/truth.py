"""What a meter cannot be asked: the bytes that really moved, the ones it counted, and the ones nobody was shown."""

from __future__ import annotations

from exporter.demo.network import NOTHING, Bytes


class Ledger:
    """Sums by whom the bytes belong to, since somebody first looked.

    moved: passed the router. metered: counted by its meter. lost: counted, and gone from the meter before a reading or
    a closed period showed them. So an exporter can count `metered − lost`, and never more than `metered`.
    """

    def __init__(self) -> None:
        self.moved: dict[str, Bytes] = {}
        self.metered: dict[str, Bytes] = {}
        self.lost: dict[str, Bytes] = {}
        self.began = False

    def begin(self) -> None:
        """Somebody looks for the first time: what was before is a baseline."""
        if not self.began:
            self.began = True
            for sums in (self.moved, self.metered, self.lost):
                sums.clear()


def add(sums: dict[str, Bytes], whose: str, down: int, up: int) -> None:
    """Add bytes to somebody's sum."""
    before = sums.get(whose, NOTHING)
    sums[whose] = Bytes(before.down + down, before.up + up)
