"""Webhooks over TLS: the certificate is that of the name, though an address was connected to."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.webhooks import post as posting
from orchestrator.webhooks.post import Answer, post
from tests.integration.webhook_stack import Receiver, receiving


def write_certificate(folder: Path, name: str) -> Path:
    """Key and certificate in one file, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Its certificate is for `localhost`, and trusted as an operator's own authority would be."""
    path = write_certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    posting._tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with receiving(context) as receiver:
        yield receiver
    posting._tls.cache_clear()


def sent(url: str) -> Answer:
    return post(
        url, {}, b"{}", allowed=[ip_network("127.0.0.0/8"), ip_network("::1/128")], whole_s=5
    )


def test_the_name_is_what_the_certificate_and_the_host_header_speak_of(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "localhost")
    assert sent(url) == Answer(204, None)
    assert receiver.got[0].headers["host"] == url.split("/")[2]


def test_a_certificate_of_another_name_is_refused(receiver: Receiver) -> None:
    answer = sent(receiver.url)
    assert "certificate" in str(answer.error)
    assert receiver.got == []
