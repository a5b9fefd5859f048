"""The gateway's own certificate, and which servers it trusts: a folder with `own.der`, `own.pem`, `trusted/` and `rejected/`.

A server is trusted by its own certificate, or that of the authority that issued it, in `trusted/`. One that is not trusted is
written to `rejected/`, so that a person compares its thumbprint with the server's and moves the file.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sidestream_contracts.errors import ConfigurationError, TransientError

VALID_DAYS = 3650
SOON_DAYS = 30
_KEY_BITS = 2048


@dataclass(frozen=True, slots=True)
class Own:
    """The gateway's own certificate; `uri` is who it says it is to OPC UA servers."""

    certificate: Path
    key: Path
    uri: str
    thumbprint: str
    valid_until: datetime


class KeyFolder:
    """One folder of keys; nothing is made before it is asked for."""

    def __init__(self, folder: Path, application_uri: str) -> None:
        self._folder = folder
        self._uri = application_uri

    def own(self) -> Own:
        """The gateway's own certificate and key, made now if there are none; ConfigurationError where they can't be used."""
        certificate, key = self._folder / "own.der", self._folder / "own.pem"
        try:
            if not certificate.exists() and not key.exists():
                self._make(certificate, key)
            found = x509.load_der_x509_certificate(certificate.read_bytes())
            serialization.load_pem_private_key(key.read_bytes(), password=None)
        except OSError as error:
            raise ConfigurationError(
                f"{error.filename}: can't be read or written: {error.strerror}. The agent needs own.der and own.pem there."
            ) from error
        except ValueError as error:
            raise ConfigurationError(
                f"{self._folder}: own.der or own.pem is broken ({error}). Move both away, and new ones are made."
            ) from error
        return Own(certificate, key, _uri_of(found) or self._uri, thumbprint(found), found.not_valid_after_utc)

    def check(self, server: x509.Certificate, where: str) -> None:
        """Returns if `server` is trusted and valid now; TransientError that says which file to compare and to move."""
        now = datetime.now(UTC)
        if not server.not_valid_before_utc <= now <= server.not_valid_after_utc:
            raise TransientError(
                f"{where}: its certificate is valid from {server.not_valid_before_utc:%Y-%m-%d} to {server.not_valid_after_utc:%Y-%m-%d},"
                f" and it is {now:%Y-%m-%d} here. Renew it at the server, or set this gateway's clock."
            )
        if any(_trusts(anchor, server) for anchor in self._trusted()):
            return
        kept = self._keep_rejected(server)
        raise TransientError(
            f"{where}: its certificate is not trusted here ({_subject(server)}, SHA-1 thumbprint {thumbprint(server)})."
            f" Compare the thumbprint with the one that the server shows; if it is the same: mv '{kept}' '{self._folder / 'trusted'}/'"
        )

    def _trusted(self) -> list[x509.Certificate]:
        folder = self._folder / "trusted"
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".der", ".crt", ".cer", ".pem"})
            return [_load(path) for path in files]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigurationError(f"{error.filename}: can't be read: {error.strerror}.") from error

    def _keep_rejected(self, server: x509.Certificate) -> Path:
        kept = self._folder / "rejected" / f"{_file_name(server)}.der"
        try:
            for folder in ("trusted", "rejected"):
                (self._folder / folder).mkdir(parents=True, exist_ok=True)
            kept.write_bytes(server.public_bytes(serialization.Encoding.DER))
        except OSError as error:
            raise ConfigurationError(f"{kept}: can't be written: {error.strerror}.") from error
        return kept

    def _make(self, certificate: Path, key: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        made = _self_signed(private, self._uri)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        certificate.write_bytes(made.public_bytes(serialization.Encoding.DER))


def thumbprint(certificate: x509.Certificate) -> str:
    """SHA-1 over the DER form, as OPC UA servers show it."""
    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303  a name that others show, not a safeguard


def _self_signed(private: rsa.RSAPrivateKey, uri: str) -> x509.Certificate:
    """An application instance certificate as OPC 10000-6, 6.2.2 asks for it."""
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "Sidestream edge"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, uri)]
    )
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True, data_encipherment=True, key_agreement=False,
        key_cert_sign=True, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), x509.DNSName(socket.gethostname())])
    return (
        x509.CertificateBuilder(
            name,
            name,
            private.public_key(),
            x509.random_serial_number(),
            now - timedelta(days=1),
            now + timedelta(days=VALID_DAYS),
        )
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )


def _trusts(anchor: x509.Certificate, server: x509.Certificate) -> bool:
    if anchor == server:
        return True
    try:
        authority = anchor.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        server.verify_directly_issued_by(anchor)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature):
        return False
    return authority and anchor.subject != server.subject


def _load(path: Path) -> x509.Certificate:
    data = path.read_bytes()
    try:
        return x509.load_pem_x509_certificate(data) if b"-----BEGIN" in data else x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise ConfigurationError(
            f"{path}: is no certificate ({error}). Remove it, or put the server's .der or .pem there."
        ) from error


def _uri_of(certificate: x509.Certificate) -> str | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), None)


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "without a name"


def _file_name(certificate: x509.Certificate) -> str:
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", str(common[0].value) if common else "server").strip("-.")
    return f"{plain[:40]}-{thumbprint(certificate)[:8]}"
