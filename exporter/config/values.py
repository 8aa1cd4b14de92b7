"""The kinds of text a configuration is written in, and what they mean.

Each reader takes text and answers the typed value, or raises Wrong with the words that say what would be right. In the
words `{value}` stands for the text as the user wrote it, which is not what the reader gets where variables were
replaced: a message must not show what a variable held.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from exporter.accounting.periods import DAILY, WEEKDAYS
from exporter.config.errors import quoted

SECONDS = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
BYTES = {"bit": 0.125, "B": 1.0}
PREFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
COLLECTIONS = ("clients", "devices", "wans", "ports", "ssids")
BINARY: dict[str, int] = {f"{prefix}i": 1024**power for power, prefix in enumerate("KMGTP", 1)}
SIZES = PREFIXES | {"P": 10**15} | BINARY
COUNTS = ("both", "download", "upload")
RESERVED = ("today", "week", "month")
FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}(?:\.[0-9]{{1,3}})?) ?{unit})?" for unit in SECONDS))
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([kMGT]?)(bit|B)/s")
_SIZE = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))? ?([kMGTP]?|[KMGTP]i)B")
_THRESHOLD = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,2})?) ?%")
_QUOTA = re.compile(r"\w(?:[\w .-]{0,62}[\w.-])?")
_LISTEN = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_MAC = re.compile(r"[0-9a-f]{12}")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_SOURCE = re.compile(r"\w[\w.-]{0,63}")
_SITE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9._])?")
_WHOLE = re.compile(r"[0-9]{1,9}")


class Wrong(ValueError):
    """A text that does not say what it should."""

    def about(self, written: str) -> str:
        """The words, with what the user wrote put in."""
        return str(self).replace("{value}", quoted(written))


class Listen(NamedTuple):
    """An address to listen on. An IPv6 address stands in `host` without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def duration(shortest: str, longest: str) -> Callable[[str], float]:
    """A reader of durations between two others, in seconds."""

    def read(text: str) -> float:
        seconds = _seconds(text)
        if not _seconds(shortest) <= seconds <= _seconds(longest):
            raise Wrong(f"{{value}} is out of range; write {shortest} to {longest}")
        return seconds

    return read


def kept(text: str) -> float:
    """How long something is kept, in seconds; infinite for ever."""
    if text == "forever":
        return math.inf
    seconds = _seconds(text)
    if not _seconds("2d") <= seconds <= _seconds("36500d"):
        raise Wrong("{value} is out of range; write 2d to 36500d, or forever")
    return seconds


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise Wrong("{value} is no duration; write a number and a unit, such as 30s or 5m")
    # Whole milliseconds, so that a duration reads the same however it is written.
    parts = zip(match.groups(), SECONDS.values(), strict=True)
    return sum(round(float(number) * 1000 * unit) for number, unit in parts if number) / 1000


def as_duration(seconds: float) -> str:
    """A duration as a user would write it: the reverse of `duration` and `kept`."""
    if seconds == math.inf:
        return "forever"
    rest, shown = round(seconds * 1000), ""
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, SECONDS[unit] * 1000)
        shown += f"{count}{unit}" if count else ""
    return shown + (f"{_short(rest / 1000)}s" if rest or not shown else "")


def _short(number: float) -> str:
    """With up to three decimals, and without zeros at the end of them."""
    return f"{number:.3f}".rstrip("0").rstrip(".")


def rate(text: str) -> float:
    """A rate in bytes per second."""
    match = _RATE.fullmatch(text)
    if match is None or not float(match[1]):
        raise Wrong("{value} is no rate; write a number and a unit, such as 250Mbit/s or 30MB/s")
    return float(match[1]) * PREFIXES[match[2]] * BYTES[match[3]]


def as_rate(rate_: float) -> str:
    """A rate as a user would write it: the reverse of `rate`."""
    for unit, size in BYTES.items():
        for prefix, times in reversed(PREFIXES.items()):
            count = rate_ / times / size
            text = f"{_short(count)}{prefix}{unit}/s"
            if (count >= 1 or not prefix) and _RATE.fullmatch(text) and rate(text) == rate_:
                return text
    return f"{_short(rate_)}B/s"


def size(text: str) -> int:
    """A number of bytes."""
    match = _SIZE.fullmatch(text)
    thousandths = int(match[1] + (match[2] or "").ljust(3, "0")) if match else 0
    if match is None or thousandths * SIZES[match[3]] < 1000:
        raise Wrong("{value} is no size; write a number and a unit, such as 500GB or 1.5TiB")
    return thousandths * SIZES[match[3]] // 1000


def as_size(size_: int) -> str:
    """A size as a user would write it, in as few characters as may be: the reverse of `size`."""
    texts = [f"{_short(size_ / unit)}{prefix}B" for prefix, unit in SIZES.items()]
    fitting = [
        text for text in texts if _SIZE.fullmatch(text) and float(text.rstrip("kKMGTPiB")) and size(text) == size_
    ]
    return min(fitting, key=len, default=f"{size_}B")


def threshold(text: str) -> float:
    """A share that somebody wants to be told of, 1 for all."""
    match = _THRESHOLD.fullmatch(text)
    if match is None or not 1 <= float(match[1]) <= 1000:
        raise Wrong("{value} is no threshold; write 1% to 1000%, such as 75%")
    return float(match[1]) / 100


def reset(text: str) -> str:
    """When an account begins anew: a day of the month without zeros before it, a day of the week, or `daily`."""
    lower = text.lower()
    if lower == DAILY or lower in WEEKDAYS:
        return lower
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= 31:
        raise Wrong("{value} is no day to reset on; write 1 to 31, a day of the week such as monday, or daily")
    return str(int(text))


def count(text: str) -> str:
    """Which way bytes have to go to be counted."""
    if text not in COUNTS:
        raise Wrong(f"{{value}} cannot be counted; write any of {', '.join(COUNTS)}")
    return text


def quota_name(text: str) -> str:
    """The name of a quota: a label's value, beside those of the periods that everybody has."""
    if not _QUOTA.fullmatch(text):
        raise Wrong("{value} is no name for a quota; write up to 64 letters, digits, blanks, dots, dashes, underscores")
    if text in RESERVED:
        raise Wrong("{value} is the name of a period that there is anyway; write another one")
    return text


def flag(text: str) -> bool:
    """True or false."""
    try:
        return FLAGS[text.lower()]
    except KeyError as error:
        raise Wrong("{value} is neither true nor false") from error


def listen(text: str) -> Listen:
    """An address and a port to listen on."""
    match = _LISTEN.fullmatch(text)
    host = match and (match["host"] or _ipv6(match["ipv6"]))
    if not match or not host or int(match["port"]) > 65535:
        raise Wrong("{value} is no address to listen on; write host:port, such as 127.0.0.1:10477 or [::1]:10477")
    return Listen(host, int(match["port"]))


def _ipv6(text: str) -> str | None:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return None


def mac(text: str) -> str:
    """A MAC address in lower case with colons, however it was written."""
    digits = re.sub(r"[:.-]", "", text.lower())
    if not _MAC.fullmatch(digits):
        raise Wrong("{value} is no MAC address; write twelve hex digits, such as 02:aa:bb:cc:dd:01")
    return ":".join(digits[start : start + 2] for start in range(0, 12, 2))


def fingerprint(text: str) -> str:
    """The SHA-256 fingerprint of a certificate, with or without the colons that other programs put in."""
    kind, _, digits = text.strip().lower().partition(":")
    plain = f"{kind}:{digits.replace(':', '')}"
    if not _FINGERPRINT.fullmatch(plain):
        raise Wrong("{value} is no fingerprint; write sha256: and the 64 hex digits of the certificate's own")
    return plain


def timezone(text: str) -> ZoneInfo:
    """A time zone by its IANA name."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise Wrong("{value} is no time zone; write a name such as Europe/Berlin or UTC") from error


def source_name(text: str) -> str:
    """The name of a source: a label's value, and part of URLs."""
    if not _SOURCE.fullmatch(text):
        raise Wrong("{value} is no name for a source; write up to 64 letters, digits, dots, dashes and underscores")
    return text


def site(text: str) -> str:
    """A UniFi site by the short name that stands in its URLs."""
    if not _SITE.fullmatch(text):
        raise Wrong("{value} is no site; write its short name as in the controller's URLs, such as default")
    return text


def wan(text: str) -> str:
    """A line to the outside, as source/site/wan: the three labels of its metrics. The site of a router is empty."""
    if text.count("/") != 2 or not all(text.split("/")[::2]):
        raise Wrong("{value} is no line; write source/site/wan, such as home/default/wan1, or attic//wan for a router")
    return text


def collection(text: str) -> str:
    """Something that a UniFi controller is asked about."""
    if text not in COLLECTIONS:
        raise Wrong(f"{{value}} cannot be collected; write any of {', '.join(COLLECTIONS)}")
    return text


def url(text: str) -> str:
    """The address of a controller: https, a host, and a port where it is not 443."""
    # The text is not shown: a mistyped address may hold a password all the same.
    wrong = Wrong("is no address of a controller; write https://host or https://host:port")
    try:
        parts = urlsplit(text)
        whole = parts.hostname and parts.port != 0
    except ValueError:
        raise wrong from None
    if not whole or not text.isascii() or any(char <= " " or char == "\\" for char in text):
        raise wrong
    if parts.scheme != "https":
        raise Wrong("must begin with https://; passwords and keys are sent in the clear without it")
    if "@" in parts.netloc:
        raise Wrong("must hold no user and password; they have keys of their own, username and password")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise Wrong("must end after the host and the port; write https://host or https://host:port")
    return text.rstrip("/")


def host(text: str) -> str:
    """A router's name or address, as known_hosts has it: in lower case, and an IPv6 address without brackets."""
    # A text that may hold a password by mistake is not shown.
    if "://" in text:
        raise Wrong("is a URL; write the host alone, such as 192.168.2.1")
    if "@" in text:
        raise Wrong("must hold no user; it has a key of its own, username")
    address = _ipv6(text.removeprefix("[").removesuffix("]"))
    if address:
        return address
    name, colon, port = text.partition(":")
    if colon and _HOST.fullmatch(name) and _WHOLE.fullmatch(port):
        raise Wrong("must hold no port; it has a key of its own, port")
    if not _HOST.fullmatch(text) or (re.fullmatch(r"[0-9.]+", text) and not _is_ipv4(text)):
        raise Wrong("{value} is no host; write a name or an address, such as router.lan or 192.168.2.1")
    return text.lower()


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A reader of whole numbers between two others."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not lowest <= int(text) <= highest:
            raise Wrong(f"{{value}} is no whole number from {lowest} to {highest}")
        return int(text)

    return read


class DatabaseUrl(SecretStr):
    """The URL of a database, which is shown without its password."""

    def _display(self) -> str:
        text = self.get_secret_value()
        parts = urlsplit(text)
        user, colon, _ = parts.netloc.rpartition("@")[0].partition(":")
        place = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{user}:<secret>@{place}").geturl() if colon else text


def database(text: str) -> DatabaseUrl:
    """Where a PostgreSQL database is."""
    # The text is not shown: it may hold a password.
    wrong = Wrong("is no address of a database; write postgresql://user@host/database")
    try:
        parts = urlsplit(text)
        whole_port = parts.port != 0
    except ValueError:
        raise wrong from None
    if not text.isprintable() or " " in text or not whole_port:
        raise wrong
    if parts.scheme != "postgresql":
        raise Wrong("must begin with postgresql://; without a database, leave url out: history is in the state file")
    if not parts.path.strip("/") or "/" in parts.path[1:] or parts.fragment:
        raise wrong
    if "password" in parts.query.lower():
        raise Wrong("must hold no password behind the question mark; it has keys of its own, password or password_file")
    return DatabaseUrl(text)


def secret(text: str) -> str:
    """A password: anything but nothing. Its value never stands in a message."""
    if not text:
        raise Wrong("is empty")
    return text


def api_key(text: str) -> str:
    """An API key: what an HTTP header can carry."""
    if not secret(text).isascii() or not text.isprintable() or " " in text:
        raise Wrong("holds a character that no API key has (a space, a line break or a letter beyond ASCII)")
    return text
