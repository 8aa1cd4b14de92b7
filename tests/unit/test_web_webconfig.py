"""Prometheus' web configuration file: what is read from it, what is refused and how, and how it is followed."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from exporter.config import ConfigError
from exporter.web.webconfig import WebConfig, WebConfigFile, exposed, load
from tests.webserver import Pair, certify, hashed

HASH = hashed("secret")
TLS = "tls_server_config: {cert_file: own.crt, key_file: own.key"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("web")
    own = certify(made, "own")
    certify(made, "other")
    (made / "empty.crt").write_text("")
    (made / "locked.key").write_bytes(
        own.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    (made / "large").write_bytes(b"#" * 2_000_000)
    return made


def indented(path: Path) -> str:
    return path.read_text().replace("\n", "\n    ")


def messages(folder: Path, text: str) -> list[str]:
    """The messages for a file, without its name."""
    path = folder / "web.yml"
    path.write_text(text)
    return [message.removeprefix(str(path)) for message in load(path).messages]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tls: {}", ":1: tls: is no key here; the keys are: tls_server_config, http_server_config, basic_auth_users"),
        ("basic_auth_user: {}", ":1: basic_auth_user: is no key here; did you mean basic_auth_users?"),
        ("rate_limit: {burst: 1}", ":1: rate_limit: is not offered; what one peer may do is limited in any case"),
        ("basic_auth_users: [alice]", ":1: basic_auth_users: must be a mapping"),
        (
            "basic_auth_users:\n  alice: hunter2",
            ":2: basic_auth_users.alice: is no bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'",
        ),
        (
            f"basic_auth_users:\n  alice: {HASH.replace('$04$', '$20$')}",
            ":2: basic_auth_users.alice: has the cost 20; write a hash of cost 4 to 15, such as 10",
        ),
        (
            f'basic_auth_users: {{"a:b": {HASH}}}',
            ':1: basic_auth_users["a:b"]: holds a colon, which ends the name in basic authentication',
        ),
        (
            f"basic_auth_users:\n  alice: {HASH}\n  alice: {HASH}",
            ":3: basic_auth_users.alice: is written twice; the first one is on line 2",
        ),
        ("http_server_config: {http2: maybe}", ':1: http_server_config.http2: "maybe" is neither true nor false'),
        (
            "http_server_config:\n  headers:\n    Server: me",
            ":3: http_server_config.headers.Server: cannot be set; the headers are: Strict-Transport-Security, "
            "X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, Content-Security-Policy",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: never}}",
            ':1: http_server_config.headers["X-Frame-Options"]: "never" is not allowed; write deny or sameorigin',
        ),
        (
            'http_server_config: {headers: {Content-Security-Policy: "a\\nSet-Cookie: b"}}',
            ':1: http_server_config.headers["Content-Security-Policy"]: must be text of one line, '
            "without letters from outside ASCII",
        ),
        (
            "tls_server_config: {min_version: TLS12, key_file: own.key}",
            ":1: tls_server_config: cert_file is missing; write the path of a PEM file, relative to this one",
        ),
        (
            "tls_server_config: {cert_file: none.crt, key_file: own.key}",
            ":1: tls_server_config.cert_file: cannot be read (No such file or directory)",
        ),
        ("tls_server_config: {cert_file: ., key_file: own.key}", ":1: tls_server_config.cert_file: is no file"),
        (
            "tls_server_config: {cert_file: large, key_file: own.key}",
            ":1: tls_server_config.cert_file: is larger than 1024 KiB",
        ),
        (
            "tls_server_config: {cert_file: empty.crt, key_file: own.key}",
            ":1: tls_server_config.cert_file: holds no certificate; "
            "write the path of a PEM file, the server's own certificate first",
        ),
        (
            "tls_server_config: {cert_file: own.crt, key_file: own.crt}",
            ":1: tls_server_config.key_file: holds no private key; write the path of a PEM file",
        ),
        (
            "tls_server_config: {cert_file: own.crt, key_file: locked.key}",
            ":1: tls_server_config.key_file: holds a key under a passphrase; "
            "write the path of one without, readable by the exporter only",
        ),
        (
            "tls_server_config: {cert_file: own.crt, key_file: other.key}",
            ":1: tls_server_config.key_file: holds the key of another certificate; "
            "write the one that belongs to cert_file",
        ),
        (f"{TLS}, cert: x}}", ":1: tls_server_config.cert: stands beside cert_file; keep one of them"),
        (
            f"{TLS}, min_version: TLS10}}",
            ':1: tls_server_config.min_version: "TLS10" is no longer spoken; write TLS12 or TLS13',
        ),
        (
            f"{TLS}, max_version: SSL3}}",
            ':1: tls_server_config.max_version: "SSL3" is no version of TLS; write TLS12 or TLS13',
        ),
        (
            f"{TLS}, min_version: TLS13, max_version: TLS12}}",
            ":1: tls_server_config.max_version: is older than min_version",
        ),
        (
            f"{TLS}, cipher_suites: [TLS_AES_128_GCM_SHA256], max_version: TLS12}}",
            ":1: tls_server_config.cipher_suites: are of TLS 1.3 only, and max_version is older",
        ),
        (
            f"{TLS}, curve_preferences: [CurveP256, X25519]}}",
            ":1: tls_server_config.curve_preferences: cannot be more than one here; "
            "write one curve, or leave the key out for OpenSSL's",
        ),
        (
            f"{TLS}, curve_preferences: [P256]}}",
            ':1: tls_server_config.curve_preferences: "P256" is no curve; '
            "write one of CurveP256, CurveP384, CurveP521, X25519",
        ),
        (
            f"{TLS}, client_auth_type: Maybe}}",
            ':1: tls_server_config.client_auth_type: "Maybe" is none; write one of NoClientCert, RequestClientCert, '
            "RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert",
        ),
        (
            f"{TLS}, client_auth_type: RequireAnyClientCert}}",
            ":1: tls_server_config.client_auth_type: RequireAnyClientCert cannot be done here: a certificate that is "
            "asked for is verified. Write RequireAndVerifyClientCert, and client_ca_file",
        ),
        (
            f"{TLS}, client_auth_type: RequireAndVerifyClientCert}}",
            ":1: tls_server_config.client_auth_type: needs client_ca_file, the authority whose certificates are let in",
        ),
        (
            f"{TLS}, client_ca_file: own.crt}}",
            ":1: tls_server_config.client_ca_file: is of no use without client_auth_type: RequireAndVerifyClientCert",
        ),
        (
            f"{TLS}, client_allowed_sans: [a]}}",
            ":1: tls_server_config.client_allowed_sans: is of no use without "
            "client_auth_type: RequireAndVerifyClientCert",
        ),
        (
            f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: empty.crt}}",
            ":1: tls_server_config.client_ca_file: holds no certificate of an authority",
        ),
        (
            f"{TLS}, prefer_server_cipher_suites: 2}}",
            ':1: tls_server_config.prefer_server_cipher_suites: "2" is neither true nor false',
        ),
        (f"{TLS}, cipher_suites: AES}}", ":1: tls_server_config.cipher_suites: must be a list"),
        (f"{TLS}, cert_fil: x}}", ":1: tls_server_config.cert_fil: is no key here; did you mean cert_file?"),
        ("- a", ":1: a configuration begins with keys, such as tls_server_config:"),
        ("a: [", ":1: is no YAML: expected the node content, but found '<stream end>'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(folder: Path, text: str, words: str) -> None:
    found = messages(folder, text)
    assert found == [words]


def test_everything_is_said_at_once_and_no_secret(folder: Path) -> None:
    (folder / "leak.key").write_text("-----BEGIN PRIVATE KEY-----\nS3cret\n-----END PRIVATE KEY-----\n")
    found = messages(
        folder,
        "tls_server_config:\n  cert_file: own.crt\n  key: S3cret\n  key_file: leak.key\n  min_version: TLS9\n"
        "http_server_config: {headers: {Via: x}}\n"
        "basic_auth_users:\n  alice: S3cret\n  bob: $2y$10$S3cret\n",
    )
    assert len(found) == 5
    assert [int(each.split(":")[1]) for each in found] == [3, 5, 6, 8, 9]
    assert "S3cret" not in "".join(found)


def test_a_file_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    for content in (None, b"\xff\xfe"):
        path = tmp_path / "web.yml"
        if content:
            path.write_bytes(content)
        assert load(path).config is None
        with pytest.raises(ConfigError, match=r"web\.yml: (cannot be read|is no UTF-8 text)"):
            WebConfigFile(path)


def read(folder: Path, text: str) -> WebConfig:
    path = folder / "good.yml"
    path.write_text(text)
    loaded = load(path)
    assert loaded.config is not None, loaded.messages
    return loaded.config


def test_what_a_good_file_says(folder: Path) -> None:
    assert read(folder, "") == WebConfig()
    assert read(folder, "tls_server_config:\nbasic_auth_users: {}\nhttp_server_config: {http2: false}") == WebConfig()
    config = read(
        folder,
        f"tls_server_config:\n  cert_file: own.crt\n  key_file: {folder / 'own.key'}\n  min_version: TLS12\n"
        "  max_version: TLS12\n  curve_preferences: [CurveP256]\n  prefer_server_cipher_suites: false\n"
        "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]\n"
        "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: other.crt\n"
        f"http_server_config:\n  headers: {{X-Frame-Options: sameorigin, Content-Security-Policy: ''}}\n"
        f"basic_auth_users:\n  'Zoë 🙂': {HASH}\n",
    )
    assert config.users == {"Zoë 🙂".encode(): HASH.encode()}
    assert config.headers == {"X-Frame-Options": "sameorigin", "Content-Security-Policy": ""}
    assert config.tls is not None
    context = config.tls.context
    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    assert context.verify_mode == ssl.CERT_OPTIONAL
    assert [each["name"] for each in context.get_ciphers() if each["protocol"] == "TLSv1.2"] == [
        "ECDHE-ECDSA-AES256-GCM-SHA384"
    ]
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert HASH not in repr(config)
    assert config.has_login
    only = read(folder, f"{TLS}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}").tls
    assert only is not None
    assert only.context.minimum_version == ssl.TLSVersion.TLSv1_3


def test_certificates_may_stand_in_the_file(folder: Path) -> None:
    config = read(
        folder,
        f"tls_server_config:\n  cert: |\n    {indented(folder / 'own.crt')}\n"
        f"  key: |\n    {indented(folder / 'own.key')}\n"
        f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca: |\n    {indented(folder / 'other.crt')}\n",
    )
    assert config.tls is not None
    assert config.tls.context.verify_mode == ssl.CERT_REQUIRED
    assert len(config.tls.context.get_ca_certs()) == 1
    assert config.has_login


class Followed:
    """A file that is followed, and what is logged meanwhile."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
        caplog.set_level(logging.INFO, "exporter.web.webconfig")
        self._caplog = caplog
        self.path = folder / "web.yml"
        self.path.write_text(text)
        self.file = WebConfigFile(self.path)

    def write(self, text: str) -> WebConfig:
        """What holds after the file was replaced, as a careful editor does."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.path)
        return self.file.current()

    def logged(self) -> list[str]:
        """Levels of what was logged since the last look."""
        levels = [record.levelname for record in self._caplog.records]
        self._caplog.clear()
        return levels


def users(*names: str) -> str:
    return "basic_auth_users:\n" + "".join(f"  {name}: {HASH}\n" for name in names)


def test_a_bad_edit_keeps_the_last_good_one_and_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    followed = Followed(tmp_path, caplog, users("alice"))
    first = followed.file.current()
    assert followed.file.current() is first
    assert set(followed.write(users("alice", "bob")).users) == {b"alice", b"bob"}
    assert (followed.logged(), followed.file.problem) == (["INFO"], "")
    good = followed.file.current()
    assert followed.write("basic_auth_users: {alice: hunter2}") is good
    assert followed.file.current() is good
    followed.path.touch()
    assert followed.file.current() is good
    assert followed.logged() == ["ERROR"]
    assert "basic_auth_users.alice: is no bcrypt hash" in followed.file.problem
    assert "hunter2" not in followed.file.problem + caplog.text
    assert set(followed.write(users("carol")).users) == {b"carol"}
    assert (followed.logged(), followed.file.problem) == (["INFO"], "")
    followed.path.unlink()
    assert set(followed.file.current().users) == {b"carol"}
    assert "cannot be read" in followed.file.problem


def test_a_file_that_is_just_being_written_opens_no_door(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certify(tmp_path, "own")
    followed = Followed(tmp_path, caplog, f"{TLS}}}\n{users('alice')}")
    good = followed.file.current()
    for less, lost in (("", "TLS and the passwords"), (users("alice"), "TLS"), (f"{TLS}}}", "the passwords")):
        assert followed.write(less) is good
        assert f"would take {lost} away; restart" in followed.file.problem
    assert followed.write(f"{TLS}}}\n{users('bob')}") is not good
    assert followed.file.problem == ""


def test_a_certificate_is_followed_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certify(tmp_path, "own")
    followed = Followed(tmp_path, caplog, f"{TLS}}}")
    good = followed.file.current()
    certify(tmp_path, "own")
    renewed = followed.file.current()
    assert renewed is not good
    # Files that are replaced one after the other do not fit for a moment.
    other: Pair = certify(tmp_path, "other")
    (tmp_path / "own.key").write_bytes(other.key_path.read_bytes())
    assert followed.file.current() is renewed
    assert "holds the key of another certificate" in followed.file.problem
    (tmp_path / "own.crt").write_bytes(other.path.read_bytes())
    assert followed.file.current() is not renewed
    assert followed.file.problem == ""
    # One that a bad edit names is waited for.
    assert followed.write("tls_server_config: {cert_file: late.crt, key_file: late.key}").tls
    assert "cannot be read" in followed.file.problem
    certify(tmp_path, "late")
    followed.file.current()
    assert followed.file.problem == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_warning(host: str) -> None:
    assert exposed(host, None) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "exporter.lan"])
def test_what_strangers_can_read_is_said(host: str, folder: Path) -> None:
    open_, login = read(folder, f"{TLS}}}"), read(folder, users("alice"))
    both = read(folder, f"{TLS}}}\n{users('alice')}")
    certified = read(folder, f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: own.crt}}")
    for config in (None, WebConfig()):
        assert f"this port on {host} can read who uses the line" in exposed(host, config)
        assert "whoever is on the way" in exposed(host, config)
        assert "set web.config_file" in exposed(host, config)
    assert "can read who uses the line" in exposed(host, open_)
    assert "whoever is on the way" not in exposed(host, open_)
    assert "passwords for this port" in exposed(host, login)
    assert exposed(host, both) == exposed(host, certified) == ""
