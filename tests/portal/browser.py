"""A real Chromium, and what a test asks of one visitor's page in it."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebSocket,
    sync_playwright,
)

from tests.installed import chromium, npm_package
from tests.portal.people import User

FLAGS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Whatever a page asks of another host is seen here and goes nowhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PATIENCE_MS: Final = 20_000
DESK: Final = {"width": 1440, "height": 900}
PHONE: Final = {"width": 390, "height": 844}
GRAVE: Final = frozenset({"serious", "critical"})
AXE: Final = """async (where) => {
    const ending = document.getAnimations().filter(
        each => each.effect.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(ending.map(each => each.finished));
    const found = await axe.run(document, {resultTypes: ["violations"]});
    return found.violations.flatMap(each => each.nodes.map(node => ({
        impact: each.impact,
        said: `${where}: ${each.id}: ${node.target} ${node.failureSummary}`.replace(/\\s+/g, " "),
    })));
}"""


@contextmanager
def running_browser(fonts: Path | None = None) -> Generator[Browser]:
    """With a fresh profile. `fonts`: a configuration of fontconfig in place of the machine's."""
    env: dict[str, str | float | bool] = dict(os.environ)
    if fonts is not None:
        env["FONTCONFIG_FILE"] = str(fonts)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=FLAGS, env=env, timeout=60_000
        )
        try:
            yield browser
        finally:
            browser.close()


class Portal:
    """One visitor: a context of their own and one page in it.

    `troubles` are requests to elsewhere, errors of scripts, and all that the console calls an
    error: what a policy refused, what did not load.
    """

    def __init__(self, browser: Browser, base_url: str, **wishes: Any) -> None:
        self.base_url = base_url
        self.context = browser.new_context(base_url=base_url, **{"viewport": DESK, **wishes})
        self.context.set_default_timeout(PATIENCE_MS)
        self.troubles: list[str] = []
        self._pardoned: set[int] = set()
        self.context.on("request", self._asked)
        self.page = self._watched(self.context.new_page())

    @property
    def path(self) -> str:
        """Of the address, with its query."""
        parts = urlsplit(self.page.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def new_page(self) -> Page:
        """Another one of the same visitor."""
        return self._watched(self.context.new_page())

    def open(self, path: str, status: int = 200) -> Response:
        """Fails unless the page is answered with that status."""
        self.pardon(status)
        answer = self.page.goto(path, wait_until="load")
        assert answer is not None, f"{path} is no document"
        assert answer.status == status, f"{path}: {answer.status}"
        return answer

    def sign_in(self, user: User) -> None:
        self.open("/login")
        self.page.fill("input[name=username]", user.username)
        self.page.fill("input[name=password]", user.password)
        self.page.press("input[name=password]", "Enter")
        self.page.wait_for_url(lambda url: urlsplit(url).path != "/login")

    def pardon(self, status: int) -> None:
        """This answer is what the test is about, and no trouble."""
        self._pardoned.add(status)

    def faults(self) -> list[str]:
        """`troubles`, but for the answers that were pardoned."""
        pardoned = tuple(f"responded with a status of {each} " for each in self._pardoned)
        return [said for said in self.troubles if not any(each in said for each in pardoned)]

    def axe(self) -> list[str]:
        """Grave violations: in light and dark, at a desk and on a phone."""
        source = (npm_package("axe-core") / "axe.min.js").read_text()
        self.page.evaluate(source)
        found = []
        for size in (DESK, PHONE):
            self.page.set_viewport_size(size)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                where = f"{self.path} {scheme} {size['width']}"
                found += self.page.evaluate(AXE, where)
        self.page.set_viewport_size(DESK)  # type: ignore[arg-type]
        self.page.emulate_media(color_scheme="null", reduced_motion="null")
        return sorted({each["said"] for each in found if each["impact"] in GRAVE})

    def close(self) -> None:
        self.context.close()

    def _watched(self, page: Page) -> Page:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(f"{page.url}: {error}"))
        page.on("websocket", self._connected)
        return page

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.base_url}/", "data:", "blob:")):
            self.troubles.append(f"a request left: {request.method} {request.url}")

    def _connected(self, socket: WebSocket) -> None:
        self.troubles.append(f"a socket was opened: {socket.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.troubles.append(f"{message.location['url']}: {message.text}")
