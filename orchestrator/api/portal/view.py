"""Pages: a template, what it shows, and the headers that every page has."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.api.auth import core_of
from orchestrator.api.portal.visitor import Visitor

ASSETS: Final = Path(__file__).with_name("assets")
FLASH: Final = "holdfast_flash"
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def page(request: Request, template: str, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """The template with `shown`, and with `visitor` (None where nobody signed in), `path`,
    `flash` and `csrf`, which the frame around every page needs."""
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    flash = _told(request)
    text = (
        environment()
        .get_template(template)
        .render(
            visitor=visitor,
            path=request.url.path,
            flash=flash,
            csrf=visitor.csrf if visitor else "",
            **shown,
        )
    )
    # A result may hold half a character, which no page can.
    answer = HTMLResponse(text.encode(errors="replace"), status_code=status)
    if flash:
        answer.delete_cookie(FLASH)
    return answer


def fragment(template: str, macro: str, *given: Any, **named: Any) -> str:
    """What one macro of a template gives: a part of a page, as live updates send it."""
    made = getattr(environment().get_template(template).module, macro)(*given, **named)
    return str(made)


def go_to(
    request: Request, path: str, said: str | None = None, *, kind: str = "good"
) -> RedirectResponse:
    """To a page of ours; `said` is shown there once. `kind`: good, or bad."""
    answer = RedirectResponse(path, status_code=303)
    if said:
        told = base64.urlsafe_b64encode(json.dumps([kind, said[:500]]).encode()).decode()
        answer.set_cookie(
            FLASH, told, max_age=60, httponly=True, samesite="lax", secure=is_secure(request)
        )
    return answer


def _told(request: Request) -> tuple[str, str] | None:
    try:
        kind, said = json.loads(base64.urlsafe_b64decode(request.cookies.get(FLASH, "")))
    except (ValueError, TypeError, RecursionError):
        return None
    return ("bad" if kind == "bad" else "good", str(said)) if said else None


def is_secure(request: Request) -> bool:
    """Whether users come by https, perhaps through a proxy that we do not see."""
    public: str = core_of(request).settings.public_url
    return public.startswith("https:") or request.url.scheme == "https"


@cache
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("orchestrator.api.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"moment": moment, "seconds": seconds, "short": short, "count": count}
    made.globals |= {"asset": asset, "once": lambda: uuid4().hex, "now": lambda: datetime.now(UTC)}
    return made


@cache
def asset(name: str) -> str:
    """Its address, which changes with what is in it."""
    digest = hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()[:12]
    return f"/assets/{name}?v={digest}"


def moment(at: datetime | None, style: str = "time") -> Markup:
    """A `<time>` that app.js shows in the viewer's zone, with UTC on hover. `style`: `time` (a
    date and a time), `ago` (how long since, kept up to date), or `until`."""
    if at is None:
        return Markup("<span class='none'>–</span>")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}" data-style="{}" title="{}">{}</time>').format(
        utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        style,
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
    )


def seconds(span: float | None) -> str:
    """`0.42 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if span is None:
        return "–"
    if span < 10:
        return f"{max(span, 0):.2f} s" if span < 1 else f"{span:.1f} s"
    whole = round(span)
    for size, word, lesser_size, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            rest = whole % size // lesser_size
            return f"{whole // size} {word}" + (f" {rest} {lesser}" if rest else "")
    minutes, rest = divmod(whole, 60)
    return f"{rest} s" if not minutes else f"{minutes} min" + (f" {rest} s" if rest else "")


def short(identifier: object) -> str:
    """The end of an id: ids begin with the time, so their ends tell them apart."""
    return str(identifier)[-8:]


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 job`, `1,000 jobs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def sealed(answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer
