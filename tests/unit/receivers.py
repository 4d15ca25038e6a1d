"""Services on loopback that take notices: they keep what they get, and answer as they are told."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """An HTTP service. `answers` are statuses, (status, headers, body), or "hang", one per request; then 202 for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.got = []
        self._let_go = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.got.append((self.path, dict(self.headers), body))
                answer = receiver.answers.pop(0) if receiver.answers else 202
                if answer == "hang":
                    receiver._let_go.wait(20)
                    return
                status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, "")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    @property
    def bodies(self):
        return [json.loads(body) for _, _, body in self.got]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._let_go.set()
        self.server.shutdown()
        self.server.server_close()


class Mailbox:
    """What an SMTP server got."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.letters = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # aiosmtpd's name
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("2"):
            self.letters.append((envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()))
        return answer


@contextmanager
def smtp(*answers, **more):
    """An SMTP server on loopback, its mailbox and port."""
    from aiosmtpd.controller import Controller

    box = Mailbox(*answers)
    with socket.socket() as taken:  # aiosmtpd must know its port before it starts
        taken.bind(("127.0.0.1", 0))
        box.port = taken.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **more)
    controller.start()
    try:
        yield box
    finally:
        controller.stop(no_assert=True)
