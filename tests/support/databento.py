"""A loopback server that speaks the part of Databento's historical HTTP API that the client uses, over TLS."""

import base64
import hashlib
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

KEY = "db-loopbackkey0123456789abcdef01"


@dataclass
class FakeDatabento:
    """``days`` holds zstd files by date and schema, with their number of records; faults are told by name."""

    days: dict[tuple[date, str], tuple[bytes, int]]
    conditions: dict[date, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    failures: list[tuple[str, int, str]] = field(default_factory=list)  # path, status, words: each once
    cut: dict[str, list[int]] = field(default_factory=dict)  # path: where its next answers break off
    polls_until_done: int = 1
    corrupt: bool = False
    url: str = ""
    jobs: dict[str, dict[str, str]] = field(default_factory=dict)

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def chosen(self, form: dict[str, str]) -> list[tuple[date, str]]:
        first, end = date.fromisoformat(form["start"]), date.fromisoformat(form["end"])
        return [key for key in sorted(self.days) if first <= key[0] < end and key[1] == form["schema"]]

    def answer(self, path: str, form: dict[str, str]) -> Any:
        name = path.removeprefix("/v0/")
        if name.startswith("download/"):
            _, _, day, schema = name.removesuffix(".dbn.zst").split("/")
            return self.days[date.fromisoformat(day), schema][0]
        match name:
            case "metadata.list_datasets":
                return ["GLBX.MDP3"]
            case "metadata.get_dataset_condition":
                first, last = date.fromisoformat(form["start_date"]), date.fromisoformat(form["end_date"])
                span = (first + timedelta(days=n) for n in range((last - first).days + 1))
                known = {day for day, _ in self.days} | set(self.conditions)
                return [
                    {
                        "date": str(day),
                        "condition": self.conditions.get(day, "available"),
                        "last_modified_date": str(day),
                    }
                    for day in span
                    if day in known
                ]
            case "metadata.get_record_count":
                return sum(self.days[key][1] for key in self.chosen(form))
            case "metadata.get_billable_size":
                return sum(self.days[key][1] * 48 for key in self.chosen(form))
            case "metadata.get_cost":
                return 0.25 * len(self.chosen(form))
            case "timeseries.get_range":
                return b"".join(self.days[key][0] for key in self.chosen(form))
            case "batch.submit_job":
                job_id = f"GLBX-20251220-{len(self.jobs):010}"
                self.jobs[job_id] = form
                return {"id": job_id, "state": "queued"}
            case "batch.list_jobs":
                self.polls_until_done -= 1
                state = "done" if self.polls_until_done < 0 else "processing"
                return [{"id": job_id, "state": state} for job_id in self.jobs]
            case "batch.list_files":
                beside = {"filename": "metadata.json", "size": 2, "hash": "sha256:0", "urls": {"https": self.url}}
                return [*self.files(form["job_id"]), beside]
        return None

    def files(self, job_id: str) -> list[dict[str, Any]]:
        found = []
        for day, schema in self.chosen(self.jobs[job_id]):
            data = self.days[day, schema][0]
            digest = "0" * 64 if self.corrupt else hashlib.sha256(data).hexdigest()
            found.append(
                {
                    "filename": f"glbx-mdp3-{day:%Y%m%d}.{schema}.dbn.zst",
                    "size": len(data),
                    "hash": f"sha256:{digest}",
                    "urls": {"https": f"{self.url}/v0/download/{job_id}/{day}/{schema}.dbn.zst"},
                }
            )
        return found


class _Server(ThreadingHTTPServer):
    def __init__(self, fake: FakeDatabento, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that gave up


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    authorization = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()

    def do_GET(self) -> None:
        self.reply(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self.reply(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def reply(self, form: str) -> None:
        path, fake = urlsplit(self.path).path, self.server.fake
        status, document = self.answer(path, {name: values[0] for name, values in parse_qs(form).items()})
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        if (part := self.headers.get("Range")) and status == 200:
            body, status = body[int(part.removeprefix("bytes=").split("-")[0]) :], 206
        cuts = next((cuts for ending, cuts in fake.cut.items() if path.endswith(ending) and cuts), None)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if cuts is None else body[: cuts.pop(0)])
        self.close_connection = True

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
        fake = self.server.fake
        fake.asked.append((path, form))
        failure = next((failure for failure in fake.failures if path.endswith(failure[0])), None)
        if failure is not None:
            fake.failures.remove(failure)
            return failure[1], {"detail": {"case": "error", "message": failure[2], "docs": ""}}
        if self.headers.get("Authorization") != self.authorization:
            return 401, {"detail": {"case": "auth_authentication_failed", "message": "no such key", "docs": ""}}
        document = fake.answer(path, form)
        return 200 if document is not None else 404, document

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving_databento(fake: FakeDatabento, folder: Path) -> Iterator[dict[str, str]]:
    """Serve; yields the environment in which ``spyctl`` finds and trusts the server."""
    authority = trustme.CA()
    folder.mkdir(parents=True, exist_ok=True)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = _Server(fake, context)
    fake.url = f"https://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield {
            "DATABENTO_API_KEY": KEY,
            "DATABENTO_GATEWAY": fake.url,
            "REQUESTS_CA_BUNDLE": str(folder / "ca.pem"),
            "NO_PROXY": "127.0.0.1",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
