"""Stand-ins for models: each answers with its name and the headers that reached it.

A request's `answer-with: name: value` sets that header on the response, `answer-status: 503` its status, and
`answer-after: 2` lets it wait so many seconds. Models that are told of a next one ask it in their turn, and
pass on of the request nothing but its baggage and its path.
"""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: else each answer waits 40 ms for an ACK
    server: "_Server"

    def do_GET(self) -> None:
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        answer = {"model": self.server.name, "headers": headers, "next": self._ask_on()}
        body = json.dumps(answer).encode()
        time.sleep(float(self.headers.get("answer-after", "0")))
        self.send_response(int(self.headers.get("answer-status", "200")))
        for line in self.headers.get_all("answer-with", []):
            name, _, value = line.partition(":")
            self.send_header(name, value.strip())
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def _ask_on(self) -> object:
        """What the next model answered; None where there is none."""
        if self.server.onward is None:
            return None
        connection = http.client.HTTPConnection(self.server.onward, timeout=20)
        baggage = {"baggage": ",".join(self.headers.get_all("baggage", []))}
        connection.request("GET", self.path, headers=baggage if baggage["baggage"] else {})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def log_message(self, *_: object) -> None:
        """Say nothing: a test's output is the test's."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, name: str, onward: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.name = name
        self.onward = onward


@contextmanager
def models(*names: str, onward: str | None = None) -> Iterator[dict[str, str]]:
    """Serve models on free loopback ports for the length of a block: `HOST:PORT` by name.

    `onward` is `HOST:PORT` of the next model, or of the proxy before it.
    """
    with ExitStack() as stack:
        addresses = {}
        for name in names:
            server = stack.enter_context(_Server(name, onward))
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            addresses[name] = f"127.0.0.1:{server.server_port}"
        yield addresses
