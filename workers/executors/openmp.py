"""Finds libgomp.so.1, which tblite needs and its wheel does not bring.

The system's own is taken where there is one. Else a copy that another wheel carries under a name
of its own is shown to the loader under the right name: a link in a folder of the user's cache.
"""

import logging
import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

LIBRARY: Final = "libgomp.so.1"
COPIES: Final = "*.libs/libgomp*.so*"
ADVICE: Final = (
    f"tblite needs {LIBRARY}, and there is none: install the system package libgomp1"
    " (libgomp on Fedora), or a wheel that carries it: pip install pykdtree"
)


def borrowed(env: Mapping[str, str]) -> dict[str, str] | None:
    """What to add to a process's environment so that it finds a wheel's copy; None: no wheel has
    one."""
    found = [
        library
        for folder in dict.fromkeys(sys.path)
        for library in sorted(Path(folder or ".").glob(COPIES))
    ]
    if not found:
        return None
    folder = _shown(found[0], env)
    logger.warning("no %s of the system's: taking %s", LIBRARY, found[0])
    before = env.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": f"{folder}:{before}" if before else str(folder)}


def _shown(library: Path, env: Mapping[str, str]) -> Path:
    cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "holdfast" / f"openmp-{sha256(str(library).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    link, fresh = folder / LIBRARY, folder / f".{LIBRARY}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(library)
    # Two devices of one node may do this at the same time.
    fresh.replace(link)
    return folder
