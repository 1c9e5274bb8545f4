"""Stand-ins for models: each answers with its name and the headers that reached it."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: else each answer waits 40 ms for an ACK
    server: "_Server"

    def do_GET(self) -> None:
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        body = json.dumps({"model": self.server.name, "headers": headers}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: a test's output is the test's."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.name = name


@contextmanager
def models(*names: str) -> Iterator[dict[str, str]]:
    """Serve models on free loopback ports for the length of a block: `HOST:PORT` by name."""
    with ExitStack() as stack:
        addresses = {}
        for name in names:
            server = stack.enter_context(_Server(name))
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            addresses[name] = f"127.0.0.1:{server.server_port}"
        yield addresses
