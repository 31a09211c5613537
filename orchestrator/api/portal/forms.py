"""Forms: bounded while they arrive, proven to be our own, done once however often they are sent."""

import hashlib
import hmac
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import Depends, Request
from pydantic_core import to_json
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from orchestrator.api.auth import core_of
from orchestrator.api.bodies import Model, parse, too_large
from orchestrator.api.portal.visitor import Visitor, visiting
from orchestrator.api.refusals import BadRequest, UnsupportedBody
from orchestrator.errors import Flaw, Forbidden, KeyReused, Rejected
from orchestrator.services.core import Core
from orchestrator.store import submissions
from orchestrator.store.submissions import Report
from orchestrator.store.transaction import Transaction
from schemas.words import Scope

FIELDS_MOST: Final = 5000
DOOR: Final = "portal"
LONGEST_KEY: Final = 64


@dataclass(frozen=True)
class Form:
    """Every field as it was sent, in order; a file is its text."""

    fields: dict[str, list[str]]

    def all(self, name: str) -> list[str]:
        return self.fields.get(name, [])

    def get(self, name: str, default: str = "") -> str:
        """Stripped; the last, where there are several."""
        given = self.all(name)
        return given[-1].strip() if given else default

    def needed(self, name: str, longest: int = 200) -> str:
        """Raises Rejected where it is empty or too long."""
        value = self.get(name)
        if not value:
            raise Rejected([Flaw(name, "must not be empty")])
        if len(value) > longest:
            raise Rejected([Flaw(name, f"must have at most {longest} characters")])
        return value

    def whole(self, name: str, default: int | None = None) -> int | None:
        """A whole number; the default where nothing was given."""
        value = self.get(name)
        if not value:
            return default
        try:
            return int(value)
        except ValueError:
            raise Rejected([Flaw(name, f"must be a whole number, got {value[:50]!r}")]) from None

    def ticked(self, name: str) -> bool:
        return bool(self.get(name))


async def read_form(request: Request) -> Form:
    """Raises TooLarge as soon as it is known to be, BadRequest, UnsupportedBody."""
    most = core_of(request).settings.max_body_bytes
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most:
            raise too_large(most)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _multipart(request.headers, bytes(raw), most)
    if raw and kind != "application/x-www-form-urlencoded":
        raise UnsupportedBody("send a form")
    try:
        fields = parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=FIELDS_MOST)
    except ValueError:
        raise BadRequest("this is no form, or one with too many fields") from None
    return _checked(fields)


async def _multipart(headers: Headers, raw: bytes, most: int) -> Form:
    async def stream() -> AsyncGenerator[bytes]:
        yield raw

    parser = MultiPartParser(
        headers, stream(), max_files=20, max_fields=FIELDS_MOST, max_part_size=most
    )
    try:
        found: FormData = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise BadRequest("this is no form, or one with too many fields") from error
    fields: dict[str, list[str]] = {}
    try:
        for name, value in found.multi_items():
            fields.setdefault(name, []).append(await _text(name, value))
    finally:
        await found.close()
    return _checked(fields)


async def _text(name: str, value: UploadFile | str) -> str:
    if isinstance(value, str):
        # Its sender says how it is written, and some ways of writing give half a character.
        return value.encode(errors="replace").decode()
    try:
        return (await value.read()).decode()
    except UnicodeDecodeError:
        raise Rejected([Flaw(name, "must be a text file in UTF-8")]) from None


def _checked(fields: dict[str, list[str]]) -> Form:
    for name, values in fields.items():
        if any("\0" in value for value in values):
            raise Rejected([Flaw(name, "must not hold NUL characters")])
    return Form(fields)


@dataclass(frozen=True, kw_only=True)
class Act:
    """A form that a visitor may send, and did send from a page of ours."""

    core: Core
    visitor: Visitor
    form: Form
    path: str

    def run(
        self, decide: Callable[[Transaction], Report], before: Callable[[], None] | None = None
    ) -> Report:
        """`decide` makes the change, in one transaction, and says what it was. A form that is
        sent twice (a double click, a reload) is done once: its hidden `key` tells. `before` may
        refuse it, outside the transaction."""
        if before is not None:
            before()
        key = self.form.get("key")
        with self.core.transaction() as tx:
            if not 0 < len(key) <= LONGEST_KEY:
                return decide(tx)
            name = f"{DOOR}:{key}"
            call = self._claimed(tx, name)
            if call.report is not None:
                return call.report
            report = decide(tx)
            submissions.keep(tx, call.id, 303, report)
            return report

    def _claimed(self, tx: Transaction, name: str) -> submissions.Submission:
        try:
            return submissions.claim(tx, self.visitor.project, name, self._digest(), door=DOOR)
        except KeyReused:
            raise KeyReused(
                "this form was sent before, with something else in it: reload its page and fill"
                " it in again"
            ) from None

    def _digest(self) -> bytes:
        found = hashlib.sha256(self.path.encode())
        for name in sorted(self.form.fields.keys() - {"csrf", "password"}):
            found.update(repr((name, self.form.fields[name])).encode())
        return found.digest()


def acting(scope: Scope) -> Any:
    """A dependency that gives the `Act`. Raises Forbidden for a form of another page than ours."""

    def act(
        request: Request,
        visitor: Annotated[Visitor, Depends(visiting(scope))],
        form: Annotated[Form, Depends(read_form)],
    ) -> Act:
        check_csrf(form, visitor.csrf)
        return Act(core=core_of(request), visitor=visitor, form=form, path=request.url.path)

    return Depends(act)


def check_csrf(form: Form, wanted: str) -> None:
    if not hmac.compare_digest(form.get("csrf").encode(), wanted.encode()):
        raise Forbidden("this form is out of date: go back, reload the page and send it again")


def parsed(model: type[Model], given: dict[str, Any]) -> Model:
    """By the same rules as a body of the API. Raises Rejected."""
    return parse(model, to_json(given))
