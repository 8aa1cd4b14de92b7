"""How each kind of scalar is written: read from text by the schema, written back, and what people call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, GetCoreSchemaHandler, InstanceOf, SecretStr, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from exporter.accounting.quotas import as_percent
from exporter.config import values
from exporter.config.values import DatabaseUrl, Listen, Wrong


@dataclass(frozen=True, slots=True)
class Scalar:
    """A kind of scalar, as a part of an annotation. Values that are no text are left to pydantic."""

    words: str
    read: Callable[[str], object] = str
    write: Callable[[Any], str] = str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """What pydantic asks of annotations."""
        return core_schema.no_info_before_validator_function(self._typed, handler(source))

    def _typed(self, value: object) -> object:
        return self.read(value) if isinstance(value, str) else value


def scalar_of(field: FieldInfo) -> Scalar | None:
    """The kind of scalar that a key holds, or a list of it does. None for mappings."""
    found = [item for item in field.metadata if isinstance(item, Scalar)]
    return found[0] if found else _scalar_in(field.annotation)


def _scalar_in(annotation: object) -> Scalar | None:
    if get_origin(annotation) is Mapping:
        return None
    if isinstance(annotation, Scalar):
        return annotation
    inner = (*getattr(annotation, "__metadata__", ()), *get_args(annotation))
    return next((found for found in map(_scalar_in, inner) if found), None)


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


def _between(shortest: str, longest: str) -> Scalar:
    return Scalar(f"duration, {shortest} to {longest}", values.duration(shortest, longest), values.as_duration)


def _hidden(_: object) -> str:
    return "<secret>"


Text = Annotated[str, Scalar("text")]
Bool = Annotated[bool, Scalar("true or false", values.flag, lambda flag: "true" if flag else "false")]
Mac = Annotated[str, Scalar("MAC address", values.mac)]
Rate = Annotated[float, Scalar("rate", values.rate, values.as_rate)]
RelativePath = Annotated[Path, BeforeValidator(_path), Scalar("path")]
Interval = Annotated[float, _between("1s", "1d")]
Timeout = Annotated[float, _between("1s", "1h")]
Lifetime = Annotated[float, _between("1s", "366d")]
Hold = Annotated[float, _between("0s", "1d")]
Kept = Annotated[float, Scalar("duration, 2d to 36500d, or forever", values.kept, values.as_duration)]
ListenAddress = Annotated[InstanceOf[Listen], Scalar("host:port", values.listen)]
TimeZone = Annotated[InstanceOf[ZoneInfo], Scalar("time zone", values.timezone)]
Name = Annotated[str, Scalar("name", values.source_name)]
Url = Annotated[str, Scalar("URL", values.url)]
Host = Annotated[str, Scalar("host name or address", values.host)]
Port = Annotated[int, Scalar("whole number, 1 to 65535", values.whole(1, 65_535))]
Clients = Annotated[int, Scalar("whole number, 1 to 10000000", values.whole(1, 10_000_000))]
Site = Annotated[str, Scalar("short name of a site", values.site)]
Collection = Annotated[str, Scalar(f"any of {', '.join(values.COLLECTIONS)}", values.collection)]
Fingerprint = Annotated[str, Scalar("sha256: and 64 hex digits", values.fingerprint)]
Login = Annotated[str, Scalar("text", values.secret)]
Secret = Annotated[SecretStr, Scalar("secret text", values.secret, _hidden)]
ApiKey = Annotated[SecretStr, Scalar("secret text", values.api_key, _hidden)]
Database = Annotated[DatabaseUrl, Scalar("URL", values.database)]
Line = Annotated[str, Scalar("source/site/wan", values.wan)]
QuotaName = Annotated[str, Scalar("name", values.quota_name)]
Size = Annotated[int, Scalar("size", values.size, values.as_size)]
Threshold = Annotated[float, Scalar("percentage, 1% to 1000%", values.threshold, as_percent)]
Intervals = Annotated[int, Scalar("whole number, 2 to 1000", values.whole(2, 1000))]
Often = Annotated[int, Scalar("whole number, 1 to 100000", values.whole(1, 100_000))]
Reset = Annotated[str, Scalar("1 to 31, a day of the week, or daily", values.reset)]
Way = Annotated[str, Scalar(f"any of {', '.join(values.COUNTS)}", values.count)]
