"""A certificate authority for one embedded Ray: a port that cannot be kept on loopback asks for a certificate of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

VALID = timedelta(days=5 * 365)
RENEW_BEFORE = timedelta(days=90)


@dataclass(frozen=True)
class TlsFiles:
    """PEM files; every process of the cluster is server and client with them. The CA's own key is never written."""

    certificate: Path
    key: Path
    authority: Path

    @property
    def environment(self) -> dict[str, str]:
        """What makes Ray use them for every gRPC channel, asking the other side for a certificate too."""
        return {
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": str(self.certificate),
            "RAY_TLS_SERVER_KEY": str(self.key),
            "RAY_TLS_CA_CERT": str(self.authority),
        }


def ensure_certificates(folder: Path, now: datetime) -> TlsFiles:
    """The certificates below ``folder``; made anew where they are missing or about to expire. ``now`` is aware."""
    files = TlsFiles(folder / "node.crt", folder / "node.key", folder / "ca.crt")
    if not _usable(files, now):
        _issue(files, now)
    return files


def write_private(path: Path, data: bytes) -> None:
    """Publish ``data`` at ``path`` atomically, readable by the owner alone from its first byte on."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    draft.replace(path)


def _usable(files: TlsFiles, now: datetime) -> bool:
    from cryptography import x509

    if not all(path.is_file() for path in (files.certificate, files.key, files.authority)):
        return False
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    return certificate.not_valid_before_utc <= now and now + RENEW_BEFORE < certificate.not_valid_after_utc


def _issue(files: TlsFiles, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("mlopsctl embedded Ray CA"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + VALID)
        )

    authority_key = ec.generate_private_key(ec.SECP256R1())
    node_key = ec.generate_private_key(ec.SECP256R1())
    authority = (
        builder("mlopsctl embedded Ray CA", authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ip_address(text)) for text in ("127.0.0.1", "::1"))]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    node = (
        builder("mlopsctl embedded Ray", node_key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(
        files.key,
        node_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    write_private(files.authority, authority.public_bytes(pem))
    write_private(files.certificate, node.public_bytes(pem))
