"""What a user may write, as frozen types. Durations are seconds here, and rates bytes per second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    InstanceOf,
    SecretStr,
    Tag,
    ValidationInfo,
)

from exporter.config import values
from exporter.config.values import Listen, Wrong


def _text(reader: Callable[[str], object]) -> BeforeValidator:
    """Type text with a reader of exporter.config.values. What is no text is left to pydantic, to take or to refuse."""
    return BeforeValidator(lambda value: reader(value) if isinstance(value, str) else value)


def _kind(text: str) -> str:
    if text not in KINDS:
        raise Wrong(f"{{value}} is no kind of source; the kinds are: {', '.join(KINDS)}")
    return text


def kind_of(source: object) -> str:
    """The kind a source is read as. One that names none that is known is what its keys look like."""
    written = source if isinstance(source, dict) else {}
    kind = written.get("kind")
    guess = "nlbwmon" if "host" in written and "url" not in written else "unifi"
    return kind if isinstance(kind, str) and kind in KINDS else guess


def _some(sources: tuple[SourceEntry, ...]) -> tuple[SourceEntry, ...]:
    # As a length this would also be missed where every source there is has an error of its own.
    if not sources:
        raise Wrong("is empty; write at least one source")
    return sources


def _anything(collect: frozenset[str]) -> frozenset[str]:
    if not collect:
        raise Wrong(f"is empty; write any of {', '.join(values.COLLECTIONS)}, or leave it out for all of them")
    return collect


def _path(value: object, info: ValidationInfo) -> object:
    """A path: `~` is the home, and what is relative is so to the folder of the file that names it."""
    base: Path | None = (info.context or {}).get("folder")
    if base is None or not isinstance(value, str | Path):
        return value
    try:
        return in_folder(base, str(value))
    except RuntimeError as error:
        raise Wrong("{value} is no path: there is no such home") from error


def in_folder(folder: Path, text: str) -> Path:
    """The path a configuration in this folder means. Raises RuntimeError where `~someone` has no home."""
    return folder / Path(text).expanduser()


Bool = Annotated[bool, _text(values.flag)]
Mac = Annotated[str, _text(values.mac)]
Rate = Annotated[float, _text(values.rate)]
RelativePath = Annotated[Path, BeforeValidator(_path)]
Interval = Annotated[float, _text(values.duration("1s", "1d"))]
Timeout = Annotated[float, _text(values.duration("1s", "1h"))]
Lifetime = Annotated[float, _text(values.duration("1s", "366d"))]
Hold = Annotated[float, _text(values.duration("0s", "1d"))]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)


class Web(_Section):
    """Where the exporter is to be scraped."""

    listen: Annotated[InstanceOf[Listen], _text(values.listen)] = Listen("127.0.0.1", 10477)


class _Polled(_Section):
    """What all sources have in common."""

    name: Annotated[str, _text(values.source_name)]
    kind: str
    interval: Interval = 30.0
    # For a whole poll.
    timeout: Timeout = 20.0
    exclude: frozenset[Mac] = frozenset()
    # None: the configuration's own.
    max_rate: Rate | None = None


class UnifiSource(_Polled):
    """A UniFi controller, and how it is polled. Either `api_key` or `username` and `password` are set."""

    kind: Annotated[Literal["unifi"], _text(_kind)]
    url: Annotated[str, _text(values.url)]
    api_key: Annotated[SecretStr | None, _text(values.api_key)] = None
    username: Annotated[str | None, _text(values.secret)] = None
    password: Annotated[SecretStr | None, _text(values.secret)] = None
    # Empty: all the account may see.
    sites: tuple[Annotated[str, _text(values.site)], ...] = ()
    verify_tls: Bool = True
    # Certificates to trust instead of the machine's.
    ca_file: RelativePath | None = None
    # Of the only certificate to trust, as `sha256:` and 64 hex digits.
    fingerprint: Annotated[str | None, _text(values.fingerprint)] = None
    collect: Annotated[frozenset[Annotated[str, _text(values.collection)]], AfterValidator(_anything)] = frozenset(
        values.COLLECTIONS
    )


class NlbwmonSource(_Polled):
    """An OpenWrt router with nlbwmon, and how it is polled over SSH. `key_file` or `password` is set, or both."""

    kind: Annotated[Literal["nlbwmon"], _text(_kind)]
    host: Annotated[str, _text(values.host)]
    port: Annotated[int, _text(values.port)] = 22
    username: Annotated[str, _text(values.secret)] = "root"
    password: Annotated[SecretStr | None, _text(values.secret)] = None
    key_file: RelativePath | None = None
    passphrase: Annotated[SecretStr | None, _text(values.secret)] = None
    known_hosts: RelativePath = Path("known_hosts")
    # Whether there are series for each protocol.
    protocols: Bool = False


KINDS: Final[Mapping[str, type[UnifiSource | NlbwmonSource]]] = {"unifi": UnifiSource, "nlbwmon": NlbwmonSource}

SourceEntry = UnifiSource | NlbwmonSource


class KnownClient(_Section):
    """What the user knows of a client better than the controller does. "" where nothing is said."""

    name: str = ""
    owner: str = ""
    category: str = ""


class Contract(_Section):
    """What is paid for on a line. None where nothing is said."""

    download: Rate | None = None
    upload: Rate | None = None


class Config(_Section):
    """A whole configuration. `timezone` is None for the machine's own."""

    web: Web = Web()
    state: RelativePath = Path("data/bandwidth.db")
    timezone: Annotated[InstanceOf[ZoneInfo] | None, _text(values.timezone)] = None
    # Bytes per second, for counters whose link speed nobody knows.
    max_rate: Rate = 12.5e9
    client_ttl: Lifetime = 3600.0
    new_series_hold: Hold = 120.0
    sources: Annotated[
        tuple[
            Annotated[
                Annotated[UnifiSource, Tag("unifi")] | Annotated[NlbwmonSource, Tag("nlbwmon")], Discriminator(kind_of)
            ],
            ...,
        ],
        AfterValidator(_some),
    ]
    # By source/site/wan.
    wans: Mapping[Annotated[str, _text(values.wan)], Contract] = {}
    # By MAC, in lower case with colons.
    clients: Mapping[Mac, KnownClient] = {}
