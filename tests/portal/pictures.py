"""`make pictures`: the portal's pages while a laboratory is at work, into docs/images."""

import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from holdfast import Client
from PIL import Image
from playwright.sync_api import Browser

from tests.installed import ROOT, inter
from tests.portal.browser import DESK, PHONE, Portal, running_browser
from tests.portal.morning import LASTS_S, morning
from tests.portal.people import User, hired
from tests.portal.scene import DEVICES, Scene, played
from tests.submit.dev import Dev, running_dev

IMAGES: Final = ROOT / "docs" / "images"
PAUSED: Final = "fresnel-2"
REASON: Final = "Laser realignment until 15:00, ask Olga"
MOST_BYTES: Final = 300 * 1024
COLOURS: Final = (256, 192, 128, 96, 64, 48, 32)
SETTLES_MS: Final = 1500
"""What a page takes to connect, and to be told what has changed."""
FONTS: Final = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""


@dataclass(frozen=True)
class Picture:
    """`wishes` are Playwright's, for the visitor's context."""

    name: str
    path: str
    wishes: dict[str, Any] = field(default_factory=dict)


DARK: Final[dict[str, Any]] = {"color_scheme": "dark"}
HELD: Final[dict[str, Any]] = {"viewport": PHONE, "is_mobile": True, "has_touch": True}


def pictures(scene: Scene) -> Sequence[Picture]:
    """Those whose clocks run come first."""
    idle = f"/batches/{scene.idle.id}"
    return (
        Picture("batch", idle),
        Picture("devices", "/devices?minutes=10"),
        Picture("batch-dark", idle, DARK),
        Picture("devices-dark", "/devices?minutes=10", DARK),
        Picture("devices-phone", "/devices?minutes=10", HELD),
        Picture("batches", "/batches"),
        Picture("batches-dark", "/batches", DARK),
        Picture("batches-phone", "/batches", HELD),
        Picture("batch-waiting", f"/batches/{scene.waiting[-2].id}"),
        Picture("batch-results", f"/batches/{scene.counted.id}?view=results"),
        Picture("batch-converged", f"/batches/{scene.converged.id}?view=convergence"),
        Picture("batch-failed", f"/batches/{scene.failed.id}"),
        Picture("job", f"/jobs/{scene.counted_job}"),
        Picture("job-failed", f"/jobs/{scene.failed_job}"),
        Picture("submit", "/submit"),
        Picture("keys", "/keys"),
        Picture("members", "/members"),
        Picture("projects", "/project"),
    )


def main() -> int:
    IMAGES.mkdir(parents=True, exist_ok=True)
    devices = (*DEVICES, f"{PAUSED}:FRESNEL:pulser")
    words = [word for device in devices for word in ("--device", device)]
    with tempfile.TemporaryDirectory(prefix="holdfast-pictures-") as name:
        folder = Path(name)
        often = {"HOLDFAST_BATCHES_PER_MINUTE": "1000"}
        with running_dev(folder, words=words, **often) as dev, set_in_inter(folder) as browser:
            people = hired(dev)
            scene = laboratory(dev, people)
            taken = [shot(browser, dev, people["owner"], each) for each in pictures(scene)]
            taken.append(shot(browser, dev, None, Picture("login", "/login")))
    return max(taken)


def laboratory(dev: Dev, people: dict[str, User]) -> Scene:
    """The scene after a morning's work, with one processor out of service."""
    print(f"the devices work for {LASTS_S:g} s first", flush=True)
    morning(dev, people)
    dev.sql("UPDATE project SET name = 'Atom array lab' WHERE id = %s RETURNING 1", dev.project_id)
    with Client(dev.base_url, people["operator"].api_key) as operator:
        operator.pause_device(PAUSED, REASON)
    return played(dev, people)


def shot(browser: Browser, dev: Dev, user: User | None, picture: Picture) -> int:
    """Writes the picture. 1 if the page had any trouble, which is printed."""
    wishes = {"device_scale_factor": 2, "timezone_id": "Europe/Paris", "locale": "en-GB"}
    portal = Portal(browser, dev.base_url, **{**wishes, "viewport": DESK, **picture.wishes})
    if user is not None:
        portal.sign_in(user)
    portal.open(picture.path)
    portal.page.wait_for_timeout(SETTLES_MS)
    data = small(portal.page.screenshot())
    (IMAGES / f"{picture.name}.png").write_bytes(data)
    faults = portal.faults()
    portal.close()
    print(f"{picture.name}: {len(data) // 1024} KiB", *faults, sep="\n  ", flush=True)
    return 1 if faults else 0


def small(data: bytes) -> bytes:
    """With as many colours as fit into a picture of that size."""
    image = Image.open(BytesIO(data)).convert("RGB")
    for colours in COLOURS:
        out = BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= MOST_BYTES:
            break
    return out.getvalue()


@contextmanager
def set_in_inter(folder: Path) -> Generator[Browser]:
    """The same letters on every machine."""
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTS.format(fonts=inter(), cache=folder / "fonts"))
    with running_browser(fonts) as browser:
        yield browser


if __name__ == "__main__":
    sys.exit(main())
