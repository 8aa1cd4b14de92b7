"""What a user may write about a source, as frozen types. Durations are seconds here, and rates bytes per second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic.fields import FieldInfo

from exporter.config import values
from exporter.config.scalars import (
    ApiKey,
    Bool,
    Collection,
    Fingerprint,
    Host,
    Interval,
    Login,
    Mac,
    Name,
    Port,
    Rate,
    RelativePath,
    Scalar,
    Secret,
    Site,
    Timeout,
    Url,
)
from exporter.config.values import Wrong


def about(sentences: str, example: str) -> FieldInfo:
    """What docs/configuration.md says of a key, and a value for it as it would stand in the file."""
    described: FieldInfo = Field(description=sentences, examples=[example])
    return described


class Section(BaseModel):
    """A mapping of known keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)


def _kind(text: str) -> str:
    if text not in KINDS:
        raise Wrong(f"{{value}} is no kind of source; the kinds are: {', '.join(KINDS)}")
    return text


def kind_of(source: object) -> str:
    """The kind a source is read as. One that names none that is known is what its keys look like."""
    if isinstance(source, Polled):
        return source.kind
    written = source if isinstance(source, dict) else {}
    kind = written.get("kind")
    guess = "nlbwmon" if "host" in written and "url" not in written else "unifi"
    return kind if isinstance(kind, str) and kind in KINDS else guess


def _anything(collect: frozenset[str]) -> frozenset[str]:
    if not collect:
        raise Wrong(f"is empty; write any of {', '.join(values.COLLECTIONS)}, or leave it out for all of them")
    return collect


class Polled(Section):
    """What all sources have in common."""

    name: Annotated[Name, about("The label `source` of every metric. Every source has its own.", "home")]
    kind: str
    interval: Annotated[Interval, about("How often the source is polled.", "1m")] = 30.0
    timeout: Annotated[Timeout, about("How long a whole poll may take.", "45s")] = 20.0
    exclude: Annotated[
        frozenset[Mac],
        about("Clients that are not to be counted, nor seen anywhere.", '["02:aa:bb:cc:dd:09"]'),
    ] = frozenset()
    max_rate: Annotated[
        Rate | None, about("As `max_rate` of the whole file, for this source alone. Without it, that one.", "10Gbit/s")
    ] = None


class UnifiSource(Polled):
    """A UniFi controller, and how it is polled. Either `api_key` or `username` and `password` are set."""

    kind: Annotated[Literal["unifi"], Scalar("`unifi`", _kind), about("A UniFi controller.", "unifi")]
    url: Annotated[
        Url,
        about(
            "The controller's address: https://host, or https://host:port. UniFi OS Server answers at port 11443.",
            "https://192.168.1.1",
        ),
    ]
    api_key: Annotated[
        ApiKey | None, about("An API key, instead of `username` and `password`.", "${UNIFI_API_KEY}")
    ] = None
    username: Annotated[
        Login | None, about("A read-only account of the controller's own, without two-factor login.", "exporter")
    ] = None
    password: Annotated[Secret | None, about("The account's password.", "${UNIFI_PASSWORD}")] = None
    sites: Annotated[
        tuple[Site, ...],
        about("The sites to read, by their short names. Without it, all that the account may see.", "[default]"),
    ] = ()
    verify_tls: Annotated[
        Bool,
        about(
            "Whether the controller's certificate is checked. Without the check, whoever is in between can read the "
            "password; `fingerprint` or `ca_file` is better.",
            "true",
        ),
    ] = True
    ca_file: Annotated[
        RelativePath | None,
        about("Certificates to trust instead of the machine's, in PEM. It may be the controller's own.", "home.pem"),
    ] = None
    fingerprint: Annotated[
        Fingerprint | None,
        about(
            "The only certificate to trust. `bandwidth-exporter check` shows the one that the controller has.",
            f"sha256:{'5f1d0c43' * 8}",
        ),
    ] = None
    collect: Annotated[
        frozenset[Collection],
        AfterValidator(_anything),
        about("What is read. Without it, all of it.", "[clients, wans]"),
    ] = frozenset(values.COLLECTIONS)


class NlbwmonSource(Polled):
    """An OpenWrt router with nlbwmon, and how it is polled over SSH. `key_file` or `password` is set, or both."""

    kind: Annotated[Literal["nlbwmon"], Scalar("`nlbwmon`", _kind), about("An OpenWrt router.", "nlbwmon")]
    host: Annotated[Host, about("The router's name or address, as `known_hosts` has it.", "192.168.2.1")]
    port: Annotated[Port, about("Where its SSH server listens.", "2222")] = 22
    username: Annotated[Login, about("Who logs in.", "bandwidth")] = "root"
    password: Annotated[
        Secret | None, about("The user's password. The key is tried first where both are given.", "${ROUTER_PASSWORD}")
    ] = None
    key_file: Annotated[RelativePath | None, about("A private key that the router accepts.", "~/.ssh/id_ed25519")] = (
        None
    )
    passphrase: Annotated[Secret | None, about("What the private key is encrypted with.", "${KEY_PASSPHRASE}")] = None
    known_hosts: Annotated[
        RelativePath,
        about(
            "The router's host key, in OpenSSH's format. No other key is trusted, and none is ever learned by itself.",
            "~/.ssh/known_hosts",
        ),
    ] = Path("known_hosts")
    protocols: Annotated[Bool, about("Whether clients have series for each protocol, which are many.", "true")] = False


KINDS: Final[Mapping[str, type[UnifiSource | NlbwmonSource]]] = {"unifi": UnifiSource, "nlbwmon": NlbwmonSource}

SourceEntry = UnifiSource | NlbwmonSource

OfItsKind = Annotated[
    Annotated[UnifiSource, Tag("unifi")] | Annotated[NlbwmonSource, Tag("nlbwmon")], Discriminator(kind_of)
]
"""A source as the schema reads it: its kind picks the model, so that errors are only about that one."""
