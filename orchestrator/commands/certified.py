"""What a certificate shows, checked with nothing but its file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.commands.connection import USAGE, fail
from orchestrator.commands.display import console, print_json, text

if TYPE_CHECKING:
    from schemas.certificate import Certificate

_KEY_BYTES: Final = 32


def show(path: Path, key: str | None, *, as_json: bool) -> list[str]:
    """Says it, and gives what speaks against the certificate. Without `key`, that which it brings
    along is believed."""
    from orchestrator.proof.certificate import Untrusted, read
    from orchestrator.proof.exclusive import findings_in

    _need_key(key)
    signed = _text_of(path)
    try:
        certificate = read(signed, key)
    except Untrusted as error:
        against, facts = [str(error)], dict.fromkeys(("batch", "status", "key_id", "unwitnessed"))
    else:
        against, facts = findings_in(certificate), _facts(certificate)
    if as_json:
        given = {"key_given": key is not None}
        print_json({"clean": not against, "against": against, **facts, **given})
        return against
    for reason in against:
        console().print(text(f"violated: {reason}", "bold red"), soft_wrap=True)
    if not against:
        for line in (*_claims(facts), _trust(str(facts["key_id"]), given=key is not None)):
            console().print(text(line), soft_wrap=True)
    return against


def _need_key(key: str | None) -> None:
    if key is None:
        return
    try:
        raw = base64.b64decode(key.strip(), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY_BYTES:
        fail('--key must be the public key in base64: --key "$(cat FILE)"', USAGE)


def _text_of(path: Path) -> str:
    from pydantic import ValidationError

    from orchestrator.proof.certificate import LARGEST
    from schemas.certificate import SignedCertificate

    try:
        with path.open(encoding="utf-8") as file:
            signed = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"--certificate {path} cannot be read: {error}", USAGE)
    try:
        SignedCertificate.model_validate_json(signed)
    except ValidationError:
        hint = "`holdfast certificate BATCH --output FILE` writes one"
        fail(f"--certificate {path} is not a certificate: {hint}", USAGE)
    return signed


def _facts(certificate: Certificate) -> dict[str, Any]:
    entries = [
        (held.device, json.loads(line.partition(" ")[2]))
        for held in certificate.held
        for line in held.entries
    ]
    began = [(device, entry["job"]) for device, entry in entries if entry["kind"] == "began"]
    return {
        "batch": certificate.batch,
        "status": certificate.status.value,
        "jobs": certificate.jobs.total,
        "witnessed": len({job for _, job in began}),
        "devices": sorted({device for device, _ in began}),
        "unwitnessed": certificate.unwitnessed,
        "key_id": certificate.key_id,
    }


def _claims(facts: dict[str, Any]) -> list[str]:
    unknown = len(facts["unwitnessed"])
    claims = [f"batch {facts['batch']}, {facts['status']}"]
    if facts["witnessed"]:
        jobs = f"{facts['witnessed']} of {facts['jobs']} jobs witnessed"
        claims.append(f"{jobs} on {', '.join(facts['devices'])}: there it was alone")
    elif not unknown:
        claims.append("no job of it began: nothing is claimed of any device")
    if unknown:
        jobs = "1 job is" if unknown == 1 else f"{unknown} jobs are"
        claims.append(f"{jobs} not witnessed: who else was on the device then, no log tells")
    return claims


def _trust(key_id: str, *, given: bool) -> str:
    return f"signed with key {key_id}, " + (
        "the given one" if given else "which the file itself brings along: give --key"
    )
