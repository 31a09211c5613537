"""`python -m orchestrator.demo --ready-file F --out DIR`: the demo against a running server."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    from holdfast import HoldfastError

    from orchestrator.demo.play import DemoFailed, run

    try:
        return run(*_server(options), options.out)
    except (DemoFailed, HoldfastError) as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m orchestrator.demo", description=__doc__)
    parser.add_argument("--ready-file", type=Path, help="what `holdfast dev --ready-file` wrote")
    parser.add_argument("--base-url", help="instead of a ready file, together with --api-key")
    parser.add_argument("--api-key")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder of the picture")
    options = parser.parse_args(arguments)
    if options.ready_file is None and not (options.base_url and options.api_key):
        parser.error("give --ready-file, or --base-url and --api-key")
    return options


def _server(options: argparse.Namespace) -> tuple[str, str]:
    """Base URL and API key; what is said on the command line wins."""
    ready = json.loads(options.ready_file.read_text()) if options.ready_file else {}
    return options.base_url or ready["base_url"], options.api_key or ready["api_key"]


if __name__ == "__main__":
    sys.exit(main())
