"""What can go wrong with servers of our own.

EmbeddedError
├── NoServer        neither a URL, nor a wheel, nor a system binary
├── NotStarted      the binary is there, but the server did not come up
└── DataDirBusy     another process keeps its data there
"""


class EmbeddedError(Exception):
    pass


class NoServer(EmbeddedError):
    pass


class NotStarted(EmbeddedError):
    pass


class DataDirBusy(EmbeddedError):
    pass
