"""What a controller is told: by its file, by options, by the environment; checked in one place."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas import logs
from schemas.controller import MAX_LANES, PATTERN, RESERVED, Slots

RUNNER_KEY: Final = "HOLDFAST_RUNNER_KEY"
STATE_DIR: Final = "HOLDFAST_STATE_DIR"


class BadConfig(Exception):
    """The text names each field and what it should be."""


class Config(BaseModel):
    """Seconds. `cores` and `memory_mb` are what all lanes share; None: a lane for each core."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=PATTERN)]
    url: str
    runner_key: Annotated[str, Field(pattern=r"^[!-~]{8,200}$", repr=False)]
    cores: Annotated[int, Field(ge=1, le=4096)] = Field(default_factory=lambda: own_cores())
    memory_mb: Annotated[int, Field(ge=64, le=64 * 2**20)] = Field(
        default_factory=lambda: own_memory_mb()
    )
    lanes: Annotated[int, Field(ge=1, le=MAX_LANES)] | None = None
    slots: Slots = {}
    executor: str = "xtb"
    options: tuple[str, ...] = ()
    takeover: bool = True
    stop_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    idle_exit_s: Annotated[float, Field(ge=0)] = 0.0
    """It leaves after so long without work; 0: never."""
    kill_grace_s: Annotated[float, Field(ge=0, le=60)] = 10.0
    max_result_bytes: Annotated[int, Field(ge=1024)] = 64 * 2**20
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: logs.Format = "text"

    @property
    def width(self) -> int:
        """How many jobs run at the same time."""
        return self.lanes or min(self.cores, MAX_LANES)

    @property
    def cores_each(self) -> int:
        return max(1, self.cores // self.width)

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError(f"{' and '.join(RESERVED)} are taken by the server")
        return name

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if not url.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http://, inside your own network)")
        return url.rstrip("/")


def make(given: Mapping[str, Any]) -> Config:
    """From what was given; None counts as not given. Raises `BadConfig` with every mistake."""
    try:
        return Config.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        # Its own text repeats the values, the key among them.
        lines = (
            f"{'.'.join(map(str, each['loc'])) or 'settings'}: {each['msg']}"
            for each in error.errors(include_input=False, include_url=False)
        )
        raise BadConfig("\n".join(lines)) from None


def state_dir(env: Mapping[str, str], name: str) -> Path:
    """Where this controller keeps its file, its journal and what it says of itself."""
    return _root(env) / name


def state_dirs(env: Mapping[str, str], name: str = "*") -> list[Path]:
    """Those on this machine, with the ones that the client library has started."""
    root = _root(env)
    found = (*root.glob(f"{name}/status.json"), *root.glob(f"local/*/{name}/status.json"))
    return sorted(path.parent for path in found)


def _root(env: Mapping[str, str]) -> Path:
    home = Path(env.get("HOME") or Path.home())
    root = env.get(STATE_DIR) or home / ".local/state/holdfast/controllers"
    return Path(root).expanduser().absolute()


def load(folder: Path) -> dict[str, Any]:
    """The file's words; empty where there is none. Raises `BadConfig`."""
    import json

    try:
        read = json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadConfig(f"{folder / 'config.json'}: {error}") from error
    if not isinstance(read, dict):
        raise BadConfig(f"{folder / 'config.json'}: not a JSON object")
    return read


def save(folder: Path, config: Config) -> Path:
    """Readable by its owner only, and never half written."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return replace(folder / "config.json", config.model_dump_json(indent=2) + "\n")


def replace(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as out:
        out.write(text)
    return draft.replace(path)


def own_cores() -> int:
    """What this process may use, which in a container is less than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_memory_mb() -> int:
    return max(64, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20)
