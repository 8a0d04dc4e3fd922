"""A loopback server in the manner of Massive's REST API: fixed answers by path, and what it was asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]
BAD_KEY = (401, {"status": "ERROR", "request_id": "1", "error": "Unknown API Key"})
NO_PLAN = (403, {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data. Please upgrade your plan"})


class FakeRest:
    """``answers`` maps the start of a path to answers, given in turn, the last one again and again."""

    def __init__(self, answers: dict[str, Answer | list[Answer]]) -> None:
        self.answers = {path: turns if isinstance(turns, list) else [turns] for path, turns in answers.items()}
        self.asked: list[tuple[str, dict[str, list[str]], str | None]] = []
        self.url = ""

    def answer(self, target: str, authorization: str | None) -> Answer:
        parts = urlsplit(target)
        self.asked.append((parts.path, parse_qs(parts.query), authorization))
        for path in sorted(self.answers, key=len, reverse=True):
            if parts.path.startswith(path):
                turns = self.answers[path]
                return turns.pop(0) if len(turns) > 1 else turns[0]
        return 404, {"status": "NOT_FOUND"}


@contextmanager
def serving(answers: dict[str, Answer | list[Answer]]) -> Iterator[FakeRest]:
    fake = FakeRest(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, document = fake.answer(self.path, self.headers.get("Authorization"))
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
