"""Free TCP ports on the loopback interface."""

import random
import socket

from orchestrator.embedded.errors import NotStarted

# Below the range that the system hands to outgoing connections. In it, a client that retries
# while our server restarts can connect to itself and keep the server off its own port.
PORTS = range(15_000, 30_000)
TRIES = 200


def free_port() -> int:
    for port in random.sample(PORTS, TRIES):
        if is_free(port):
            return port
    raise NotStarted(f"no free TCP port found between {PORTS.start} and {PORTS.stop}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
