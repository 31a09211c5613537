"""Exclusivity certificates: that a batch was alone on its devices, signed."""

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from orchestrator.api.answers import json_answer
from orchestrator.api.auth import core_of
from orchestrator.api.openapi import shows
from orchestrator.api.parameters import Reads, refuse_unknown
from orchestrator.api.problems import RETRY_AFTER_S, problem_of
from orchestrator.errors import CertificateNotReady
from orchestrator.services import certify
from schemas.certificate import CertificateKey, SignedCertificate

router = APIRouter(prefix="/v1", tags=["certificates"], dependencies=[Depends(refuse_unknown)])


@router.get("/batches/{batch_id}/certificate", responses=shows(SignedCertificate))
def read_certificate(request: Request, caller: Reads, batch_id: UUID) -> Response:
    """That the batch was alone on every device that it had, by the devices' own logs: its entries,
    all that lies between them, and their neighbours. Signed; checked offline by `holdfast verify
    --certificate`. 409 until it is over and the logs are there: ask again after `Retry-After`."""
    try:
        signed = certify.certify(core_of(request), caller.project, batch_id)
    except CertificateNotReady as error:
        answer = problem_of(error)
        answer.headers["Retry-After"] = RETRY_AFTER_S
        return answer
    return json_answer(signed.model_dump_json())


@router.get("/certificate-key", responses=shows(CertificateKey))
def read_certificate_key(request: Request, caller: Reads) -> Response:
    """What all certificates of this server are signed with. Keep a copy: it is what makes one
    worth more than the paper it is on."""
    return json_answer(certify.certificate_key(core_of(request)).model_dump_json())
