"""The server around the application: where it listens, and who may come."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable

from gpulake.config import Config
from gpulake.errors import UsageError
from gpulake.serve.app import create_app

_HERE = ("127.0.0.1", "localhost", "::1")


def run(config: Config, *, host: str, port: int, token: str | None, told: Callable[[str], None]) -> None:
    """Serve until it is stopped. `told` hears the address once it can be opened.

    An address that other machines reach needs a token; where none is given one is made. Raises UsageError where the address is
    taken, or is none.
    """
    import uvicorn

    is_here = host in _HERE
    if not is_here and token is None:
        token = secrets.token_urlsafe(24)
    listening = _listen(host, port)
    with listening:
        port = listening.getsockname()[1]
        hosts = _HERE if is_here else ("*",)
        app = create_app(config, hosts=hosts, token=token)
        shown = f"[{host}]" if ":" in host else host
        told(f"http://{shown}:{port}/" + (f"?token={token}" if token else ""))
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3)
        )
        newest = app.state.newest
        with newest.watched(app.state.visit):
            server.run(sockets=[listening])
        newest.close()


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # who opens the address before the server is ready waits, and is not refused
    except OSError as error:
        listening.close()
        raise UsageError(
            f"{host}:{port} cannot be served: {error.strerror}.", do="choose another --host or --port"
        ) from error
    return listening
