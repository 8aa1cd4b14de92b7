"""PromQL that knows which labels its series have: a wrong label, or a counter without rate(), fails when it is made.

Every selector takes the selection of the dashboard's variables. Nothing is summed over `instance`: two exporters, or
one behind two addresses, are two rows and never a double number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from exporter import metrics
from exporter.metrics import Family

TARGET: Final = ("job", "instance")
"""The labels that a scrape adds."""

SELECTED: Final = ("source", "site")
"""The labels that the variable of the same name selects, wherever a family has them."""

_MATCHER = re.compile(r'(\w+)(?:=~|!~|=|!=)"[^"]*"')


class WrongQueryError(Exception):
    """A query that cannot be what is meant; the message says why."""


@dataclass(frozen=True, slots=True)
class Vector:
    """An expression whose value is one number for each of its series.

    labels: of its series. counter: it is a bare counter, of which only the increase means something. plain: it needs no
    parentheses beside an operator.
    """

    text: str
    labels: frozenset[str]
    counter: bool = False
    plain: bool = True

    def operand(self) -> str:
        """The text, to stand beside an operator."""
        return self.text if self.plain else f"({self.text})"


def select(family: Family, *matchers: str, everything: bool = False) -> Vector:
    """The series of a family. matchers: `label="value"`. everything: whatever source and site are selected."""
    own = [found[1] for found in map(_MATCHER.fullmatch, matchers) if found]
    labels = (*TARGET, *family.labels)
    if len(own) != len(matchers) or not set(own) <= set(labels):
        raise WrongQueryError(f"{family.name} has no such labels: {matchers}")
    selected = () if everything else (label for label in SELECTED if label in family.labels and label not in own)
    chosen = [f'{label}=~"${label}"' for label in (*TARGET, *selected)]
    braces = ",".join([*chosen, *matchers])
    return Vector(f"{family.name}{{{braces}}}", frozenset(labels), counter=family.type == "counter")


def rate(counter: Vector) -> Vector:
    """Bytes (or whatever) a second, over as long as a point of the graph stands for."""
    return _of_counter("rate", counter, "$__rate_interval", "")


def increase(counter: Vector, window: str, offset: str = "") -> Vector:
    """How much it grew in the window that ends with each point; offset: or so long before that."""
    return _of_counter("increase", counter, window, offset)


def _of_counter(function: str, counter: Vector, window: str, offset: str) -> Vector:
    if not counter.counter:
        raise WrongQueryError(f"{function}() is for counters: {counter.text}")
    return Vector(f"{function}({counter.text}[{window}]{_shift(offset)})", counter.labels)


def _shift(offset: str) -> str:
    return f" offset {offset}" if offset else ""


def over(function: str, gauge: Vector, window: str) -> Vector:
    """A function such as max_over_time of a gauge that is selected."""
    return Vector(f"{function}({_value(gauge).text}[{window}])", gauge.labels)


def before(gauge: Vector, offset: str) -> Vector:
    """What a gauge was so long ago."""
    return Vector(f"{_value(gauge).text}{_shift(offset)}", gauge.labels)


MONTH: Final = "clamp_min(days_in_month(time() - 86400 * day_of_month()), scalar(day_of_month()))"
"""How many days ago the same day of the month before was, by UTC; its last day where it is shorter."""


def month_before(gauge: Vector) -> Vector:
    """What a gauge was at this hour of the same day of the month before."""
    then = (f"{before(gauge, f'{days}d').text} and on () ({MONTH} == {days})" for days in (28, 29, 30, 31))
    return Vector(" or ".join(f"({one})" for one in then), gauge.labels, plain=False)


def percentile(ratio: float, gauge: Vector, window: str) -> Vector:
    """The value below which the gauge was for such a share of the window."""
    return Vector(f"quantile_over_time({ratio}, {_value(gauge).text}[{window}])", gauge.labels)


def aggregate(function: str, by: Iterable[str], vector: Vector) -> Vector:
    """sum, max, count … by labels that it has."""
    labels = tuple(by)
    return Vector(f"{function} by ({_names(labels, vector)}) ({_value(vector).text})", frozenset(labels))


def top(count: int, vector: Vector) -> Vector:
    """The largest, each with all its labels."""
    return Vector(f"topk({count}, {_value(vector).text})", vector.labels)


def lowest(count: int, vector: Vector) -> Vector:
    """The smallest, each with all its labels."""
    return Vector(f"bottomk({count}, {_value(vector).text})", vector.labels)


def scaled(factor: float, vector: Vector) -> Vector:
    """A number times the vector."""
    return Vector(f"{factor:g} * {_value(vector).operand()}", vector.labels, plain=False)


def bits(vector: Vector) -> Vector:
    """Bytes as bits."""
    return scaled(8, vector)


def calc(left: Vector, operator: str, right: Vector | float | str) -> Vector:
    """Series with the same labels, a number, or one of Grafana's: `+`, `-`, `/`, `>` …"""
    if isinstance(right, Vector):
        if left.labels != right.labels:
            raise WrongQueryError(f"these never match: {left.text} {operator} {right.text}")
        return Vector(f"{_value(left).operand()} {operator} {_value(right).operand()}", left.labels, plain=False)
    number = right if isinstance(right, str) else f"{right:g}"
    return Vector(f"{_value(left).operand()} {operator} {number}", left.labels, plain=False)


def matched(
    left: Vector, operator: str, right: Vector, on: Iterable[str], bring: Iterable[str] | None = None
) -> Vector:
    """Series matched by some labels. bring: many on the left to one on the right, whose labels `bring` are added."""
    common, added = tuple(on), None if bring is None else tuple(bring)
    _names(common, left)
    group = "" if added is None else f" group_left ({_names(added, right)})"
    text = f"{_value(left).operand()} {operator} on ({_names(common, right)}){group} {_value(right).operand()}"
    one_to_one = added is None and operator in {"+", "-", "*", "/"}
    labels = frozenset(common) if one_to_one else left.labels | set(added or ())
    return Vector(text, labels, plain=False)


def either(*vectors: Vector) -> Vector:
    """The first that is there."""
    text = " or ".join(_value(vector).operand() for vector in vectors)
    return Vector(text, frozenset[str]().union(*(vector.labels for vector in vectors)), plain=False)


def one(info: Vector, *identity: str) -> Vector:
    """One series of an info family for each subject. A rename while Prometheus restarts leaves two for five minutes."""
    return Vector(f"topk by ({_names(identity, info)}) (1, {info.text})", info.labels)


IDENTITIES: Final[Mapping[Family, tuple[str, ...]]] = {
    metrics.SOURCE_INFO: ("source",),
    metrics.CLIENT_INFO: ("source", "site", "client"),
    metrics.DEVICE_INFO: ("source", "site", "device"),
    metrics.PORT_INFO: ("source", "site", "device", "port"),
    metrics.WAN_INFO: ("source", "site", "wan"),
}
"""By which labels an info family is joined."""


def named(
    vector: Vector, info: Family = metrics.CLIENT_INFO, *matchers: str, bring: Iterable[str] = ("name",)
) -> Vector:
    """With what the info family knows of its subjects."""
    identity = IDENTITIES[info]
    return matched(vector, "*", one(select(info, *matchers), *identity), identity, bring)


def few_named(
    vector: Vector, info: Family = metrics.CLIENT_INFO, *matchers: str, bring: Iterable[str] = ("name",)
) -> Vector:
    """The same for what is left of many: names are looked up for these alone."""
    identity = IDENTITIES[info]
    wanted = matched(select(info, *matchers), "and", vector, identity)
    return matched(vector, "*", one(wanted, *identity), identity, bring)


def named_at_end(vector: Vector, info: Family, window: str, *matchers: str, bring: Iterable[str] = ("name",)) -> Vector:
    """With the names of now, also where a client was away or had another one in between.

    Points a day apart end with the last midnight; the day that follows it is looked at as well, and what was seen on it
    goes before an older name. `^ 0` makes 1 of both again, and binds closer than `*`.
    """
    identity = IDENTITIES[info]
    known = select(info, *matchers).text
    latest, ever = (f"last_over_time({known}[{span}] @ end() offset -1d)" for span in ("1d", window))
    labels = frozenset((*TARGET, *info.labels))
    last = Vector(f"topk by ({', '.join(identity)}) (1, 2 * {latest} or {ever}) ^ 0", labels)
    return matched(vector, "*", last, identity, bring)


def joined(vector: Vector, to: str, *sources: str) -> Vector:
    """With a label that is made of others, of which at most one is there."""
    names = ", ".join(f'"{label}"' for label in _names(sources, vector).split(", "))
    return Vector(f'label_join({vector.operand()}, "{to}", "", {names})', vector.labels | {to})


def relabelled(vector: Vector, to: str, source: str) -> Vector:
    """With a copy of a label under another name; not there where it is empty."""
    _names((source,), vector)
    return Vector(f'label_replace({vector.text}, "{to}", "$1", "{source}", "(.+)")', vector.labels | {to})


def age(moments: Vector) -> Vector:
    """Seconds since a Unix time."""
    return Vector(f"time() - {_value(moments).operand()}", moments.labels, plain=False)


def _value(vector: Vector) -> Vector:
    if vector.counter:
        raise WrongQueryError(f"of a counter only rate() and increase() mean something: {vector.text}")
    return vector


def _names(labels: Iterable[str], vector: Vector) -> str:
    wanted = tuple(labels)
    if unknown := set(wanted) - vector.labels:
        raise WrongQueryError(f"no label {', '.join(sorted(unknown))}: {vector.text}")
    return ", ".join(wanted)
