"""tls_server_config of a web configuration, and what Python's TLS makes of it.

The keys are those of Prometheus' web configuration. What Python's `ssl` cannot do, or what would let anybody in, is
refused in words, where Prometheus takes it:

- TLS 1.0 and 1.1, which OpenSSL no longer speaks as it comes;
- `RequireAnyClientCert`: a certificate cannot be asked for without being verified;
- verification without `client_ca_file`, which would let in whoever holds any public authority's certificate;
- more than one of `curve_preferences`; cipher suites without forward secrecy.

Two things are taken and change nothing. `RequestClientCert` asks for no certificate: one that nobody verifies has no
use. Cipher suites of TLS 1.3 cannot be chosen, as in Go; where only such are named, TLS 1.2 is not spoken.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from exporter.config.document import Tree
from exporter.config.errors import quoted
from exporter.config.values import Wrong, flag

Refuse = Callable[[str, str], None]
"""Takes a key of tls_server_config ("" for the whole) and what is wrong with it, or right instead."""

Read = Callable[[str], bytes]
"""Reads a file named in the configuration; raises Wrong."""

KEYS = (
    "cert_file", "key_file", "cert", "key", "client_auth_type", "client_ca_file", "client_ca", "client_allowed_sans",
    "min_version", "max_version", "cipher_suites", "prefer_server_cipher_suites", "curve_preferences",
)  # fmt: skip

CLIENT_AUTH: Mapping[str, ssl.VerifyMode | None] = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,
    "RequireAnyClientCert": None,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
"""Go's names (crypto/tls, ClientAuthType). None: not possible here."""

VERSIONS: Mapping[str, ssl.TLSVersion | None] = {
    "TLS13": ssl.TLSVersion.TLSv1_3,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS11": None,
    "TLS10": None,
}

_SUITES = {
    f"TLS_ECDHE_{key}_WITH_{go}": f"ECDHE-{key}-{openssl}"
    for key in ("ECDSA", "RSA")
    for go, openssl in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
    )
}
_SUITES_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}


@dataclass(frozen=True, slots=True)
class Tls:
    """How TLS is spoken. sans: a client's certificate has to hold one of them, where there are any."""

    context: ssl.SSLContext
    sans: frozenset[str] = frozenset()


def make_tls(section: Mapping[str, Tree], read: Read, refuse: Refuse) -> Tls | None:
    """The section as TLS, or None where anything was refused. It holds no unknown keys any more."""
    refused = False

    def said(key: str, words: str) -> None:
        nonlocal refused
        refused = True
        refuse(key, words)

    texts = _texts(section, said)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    certificate, private = (_pem(name, texts, read, said, required=True) for name in ("cert", "key"))
    if certificate is not None and private is not None:
        _load(context, certificate, private, said)
    _versions(context, texts, said)
    _suites(context, _list(section, "cipher_suites", said), said)
    _curves(context, _list(section, "curve_preferences", said), said)
    try:
        prefer = flag(texts.get("prefer_server_cipher_suites", "true"))
        context.options = _with(context.options, ssl.OP_CIPHER_SERVER_PREFERENCE, prefer)
    except Wrong as wrong:
        said("prefer_server_cipher_suites", wrong.about(texts["prefer_server_cipher_suites"]))
    sans = _clients(context, texts, _list(section, "client_allowed_sans", said), read, said)
    return None if refused else Tls(context, sans)


def names_of(certificate: bytes) -> frozenset[str]:
    """The subject's alternative names of a certificate in DER: DNS names, e-mail and IP addresses, URIs.

    None of them where it cannot be understood.
    """
    try:
        found = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return frozenset()
    kinds = (x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier)
    return frozenset(str(name.value) for name in found.value if isinstance(name, kinds))


def _with(options: ssl.Options, option: ssl.Options, on: bool) -> ssl.Options:
    return options | option if on else options & ~option


def _texts(section: Mapping[str, Tree], said: Refuse) -> dict[str, str]:
    lists = ("cipher_suites", "curve_preferences", "client_allowed_sans")
    for key, value in section.items():
        if key not in lists and not isinstance(value, str):
            said(key, "must be text")
    return {key: value for key, value in section.items() if isinstance(value, str) and value}


def _list(section: Mapping[str, Tree], key: str, said: Refuse) -> list[str]:
    value = section.get(key, [])
    if not isinstance(value, list):
        said(key, "must be a list")
        return []
    texts = [text for text in value if isinstance(text, str)]
    if len(texts) < len(value):
        said(key, "must hold text only")
    return texts


def _pem(name: str, texts: Mapping[str, str], read: Read, said: Refuse, *, required: bool) -> bytes | None:
    """What stands in `name`, or in the file that `name`_file names; None where it is missing or was refused."""
    path = texts.get(f"{name}_file")
    if path and name in texts:
        said(name, f"stands beside {name}_file; keep one of them")
    elif path:
        try:
            return read(path)
        except Wrong as wrong:
            said(f"{name}_file", str(wrong))
    elif name in texts:
        return texts[name].encode()
    elif required and not any(key in texts for key in (f"{name}_file", name)):
        said("", f"{name}_file is missing; write the path of a PEM file, relative to this one")
    return None


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes, said: Refuse) -> None:
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError:
        said("cert_file", "holds no certificate; write the path of a PEM file, the server's own certificate first")
        return
    try:
        private = serialization.load_pem_private_key(key, None)
    except TypeError:
        said("key_file", "holds a key under a passphrase; write the path of one without, readable by the exporter only")
        return
    except (ValueError, UnsupportedAlgorithm):
        said("key_file", "holds no private key; write the path of a PEM file")
        return
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        said("key_file", "holds the key of another certificate; write the one that belongs to cert_file")
        return
    try:
        with _file_of(certificate + b"\n" + key) as path:
            context.load_cert_chain(path, password=b"")
    except ssl.SSLError as error:
        said("cert_file", f"cannot be used for TLS ({error.reason or 'no reason given'}); make another certificate")


@contextmanager
def _file_of(content: bytes) -> Iterator[str]:
    """A path that reads as the content: `ssl` takes keys from files only. It has no name on any disk."""
    with (
        os.fdopen(os.memfd_create("web-config", os.MFD_CLOEXEC), "w+b")
        if hasattr(os, "memfd_create")
        else tempfile.TemporaryFile()
    ) as file:
        file.write(content)
        file.flush()
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"


def _versions(context: ssl.SSLContext, texts: Mapping[str, str], said: Refuse) -> None:
    found = {"min_version": ssl.TLSVersion.TLSv1_2, "max_version": ssl.TLSVersion.TLSv1_3}
    for key, written in ((key, texts[key]) for key in list(found) if key in texts):
        version = VERSIONS.get(written)
        if version is not None:
            found[key] = version
        elif written in VERSIONS:
            said(key, f"{quoted(written)} is no longer spoken; write TLS12 or TLS13")
        else:
            said(key, f"{quoted(written)} is no version of TLS; write TLS12 or TLS13")
    if found["min_version"] > found["max_version"]:
        said("max_version", "is older than min_version")
    context.minimum_version, context.maximum_version = found["min_version"], found["max_version"]


def _suites(context: ssl.SSLContext, names: Sequence[str], said: Refuse) -> None:
    unknown = [name for name in names if name not in _SUITES and name not in _SUITES_13]
    for name in unknown:
        said("cipher_suites", f"{quoted(name)} is not offered; write any of {', '.join([*_SUITES, *_SUITES_13])}")
    if not names or unknown:
        return
    chosen = [_SUITES[name] for name in names if name in _SUITES]
    if chosen:
        try:
            context.set_ciphers(":".join(chosen))
        except ssl.SSLError:
            said("cipher_suites", "are none that this machine's OpenSSL offers; leave the key out")
    elif context.maximum_version == ssl.TLSVersion.TLSv1_3:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    else:
        said("cipher_suites", "are of TLS 1.3 only, and max_version is older")


def _curves(context: ssl.SSLContext, names: Sequence[str], said: Refuse) -> None:
    unknown = [name for name in names if name not in _CURVES]
    for name in unknown:
        said("curve_preferences", f"{quoted(name)} is no curve; write one of {', '.join(_CURVES)}")
    if len(names) > 1 and not unknown:
        said("curve_preferences", "cannot be more than one here; write one curve, or leave the key out for OpenSSL's")
    elif names and not unknown:
        context.set_ecdh_curve(_CURVES[names[0]])


def _clients(
    context: ssl.SSLContext, texts: Mapping[str, str], sans: Sequence[str], read: Read, said: Refuse
) -> frozenset[str]:
    written = texts.get("client_auth_type", "NoClientCert")
    # The toolkit's older name for the same.
    name = "RequireAnyClientCert" if written == "RequireClientCert" else written
    has_authority = "client_ca_file" in texts or "client_ca" in texts
    authority = _pem("client_ca", texts, read, said, required=False)
    mode = CLIENT_AUTH.get(name)
    if name not in CLIENT_AUTH:
        said("client_auth_type", f"{quoted(name)} is none; write one of {', '.join(CLIENT_AUTH)}")
    elif mode is None:
        said(
            "client_auth_type",
            "RequireAnyClientCert cannot be done here: a certificate that is asked for is verified. "
            "Write RequireAndVerifyClientCert, and client_ca_file",
        )
    elif mode != ssl.CERT_NONE and not has_authority:
        said("client_auth_type", "needs client_ca_file, the authority whose certificates are let in")
    elif name == "NoClientCert" and has_authority:
        key = "client_ca_file" if "client_ca_file" in texts else "client_ca"
        said(key, "is of no use without client_auth_type: RequireAndVerifyClientCert")
    if sans and name not in ("RequireAndVerifyClientCert", "RequireAnyClientCert"):
        said("client_allowed_sans", "is of no use without client_auth_type: RequireAndVerifyClientCert")
    if authority is not None:
        try:
            for certificate in x509.load_pem_x509_certificates(authority):
                context.load_verify_locations(cadata=certificate.public_bytes(serialization.Encoding.DER))
        except (ssl.SSLError, ValueError):
            said("client_ca_file" if "client_ca_file" in texts else "client_ca", "holds no certificate of an authority")
    if mode is not None:
        context.verify_mode = mode
    return frozenset(sans)
