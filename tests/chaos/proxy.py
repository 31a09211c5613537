"""A small TCP proxy that stands between the parts and a server, and can be told to misbehave.

A process of its own: `python proxy.py LISTEN:UPSTREAM ...`, ports of the loopback interface. It
then reads `LISTEN MODE` lines from its input:

- `pass`: bytes go through; what was held goes on its way, late;
- `hold`: nothing goes through, either way, and nothing is refused: a network that is away;
- `mute`: what clients send goes through, the answers are held;
- `cut`: every connection is reset; new ones pass.
"""

import asyncio
import socket
import struct
import sys
from contextlib import suppress

LOW, HIGH = 2**16, 2**18


class Link:
    """All connections to one upstream."""

    def __init__(self, listen: int, upstream: int) -> None:
        self.listen = listen
        self.upstream = upstream
        self.mode = "pass"
        self.ends: set[End] = set()

    def tell(self, mode: str) -> None:
        if mode == "cut":
            for end in list(self.ends):
                end.reset()
            mode = "pass"
        self.mode = mode
        for end in list(self.ends):
            end.obey()

    def holds(self, from_client: bool) -> bool:
        return self.mode == "hold" or (self.mode == "mute" and not from_client)


class End(asyncio.Protocol):
    """One of the two ends of a connection; what comes in here goes out at `peer`."""

    def __init__(self, link: Link, peer: "End | None" = None) -> None:
        self.link = link
        self.peer = peer
        self.is_client = peer is None
        self.transport: asyncio.Transport | None = None
        self.early: list[bytes] = []
        self.choked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(HIGH, LOW)
        self.link.ends.add(self)
        if self.peer is None:
            asyncio.get_running_loop().create_task(self.connect())
        else:
            self.peer.peer = self
            for data in self.peer.early:
                transport.write(data)
        self.obey()

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: End(self.link, self), "127.0.0.1", self.link.upstream
            )
        except OSError:
            self.reset()

    def data_received(self, data: bytes) -> None:
        if self.peer is None or self.peer.transport is None:
            self.early.append(data)
        else:
            self.peer.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.link.ends.discard(self)
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.choked = True
            self.peer.obey()

    def resume_writing(self) -> None:
        if self.peer is not None:
            self.peer.choked = False
            self.peer.obey()

    def obey(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self.choked or self.link.holds(self.is_client):
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def reset(self) -> None:
        """Not closed but reset: whoever is at the other end gets an error."""
        if self.transport is None:
            return
        wire = self.transport.get_extra_info("socket")
        with suppress(OSError):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


async def serve(links: list[Link]) -> None:
    loop = asyncio.get_running_loop()
    for link in links:
        await loop.create_server(lambda made=link: End(made), "127.0.0.1", link.listen)  # type: ignore[misc]
    print("ready", flush=True)
    known = {link.listen: link for link in links}
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        port, mode = line.decode().split()
        known[int(port)].tell(mode)


def main() -> None:
    links = [Link(*map(int, words.split(":"))) for words in sys.argv[1:]]
    asyncio.run(serve(links))


if __name__ == "__main__":
    main()
