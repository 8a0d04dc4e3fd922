"""What reads bytes from outside, each with inputs to begin with."""

import atexit
import os
import re
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import orjson
import typer

from spyctl.bus.answers import is_info, read_answer
from spyctl.bus.leases import Lease
from spyctl.bus.runs import RunRecord
from spyctl.cli.app import app
from spyctl.cli.framework.settings import load
from spyctl.dbn.gateway.protocol import GatewayProtocol, GatewayProtocolError, Login, LoginRefusedError, Subscription
from spyctl.dbn.messages import live_header
from spyctl.dbn.records import MalformedHeaderError, RecordSplitter, parse_header, record_dtype
from spyctl.dbn.sidecars import Sidecars
from spyctl.dbn.zstd import ZstdReader, walk_frames
from spyctl.errors import DamagedFileError, PayloadError, UsageError
from spyctl.live import pending
from spyctl.live.pending import Pending
from spyctl.market.columns import MBP10_DTYPE, TRADE_DTYPE, UNDEF_PRICE, Batch, Names
from spyctl.market.encode import encode_batch
from spyctl.market.events import EventSource
from spyctl.market.lines import json_lines
from spyctl.market.option_tickers import parse_option_ticker
from spyctl.market.subjects import subject_table
from spyctl.massive.normalize import parse_frame
from spyctl.replay.tapes.contents import read_sidecar, sidecar_path
from spyctl.replay.tapes.lines import read_lines
from spyctl.replay.tapes.reader import TapeReader
from tests.fuzz.hunt import Target
from tests.support.kernels import built_kernel, encoded_by
from tests.support.records import T0, book, content, metadata, trade, zstd_frames
from tests.support.tapes import messages
from tests.unit.dbn.test_flipped_bits import survive
from tests.unit.massive.test_normalize import OPTION, QUOTE, RECV, TRADE

HEAD = metadata("trades")
PLAIN = content([trade(T0), trade(T0 + 1)], HEAD)
PACKED = zstd_frames(PLAIN, len(HEAD))
HEADERS = tuple(metadata(schema, version=version) for schema in ("trades", "mbp-10") for version in (1, 2, 3))
RECORDS = tuple(
    content([maker(T0 + i) for i in range(3)], metadata(schema, version=version))
    for schema, maker in (("trades", trade), ("mbp-10", book))
    for version in (1, 3)
)
TAPE = json_lines(messages(1, 4))
SUBJECTS = subject_table("")
NAMES = Names()
for symbol in ("ES", "NQ", "UD:1V: é"):
    NAMES.number(symbol)
_NUMBERS = (b"0", b"-1", b"1e999", b"18446744073709551616", b"null", b"true", b'"x"', b"[]", b"{}", b"NaN", b"1.5")
_NESTED = (b"[" * 2_000, b'{"a":' * 500)
JSON_WORDS = (*_NUMBERS, *_NESTED, b'"', b",", b":", b"\\u0000", b"\xff", b"\n")


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def dbn_header(data: bytes) -> object:
    """A header, as the reader of files and the gateway read it."""
    try:
        header = parse_header(data)
    except MalformedHeaderError as error:
        return _worded(error.reason)
    return header.version, header.schema, header.ts_out, len(header.mappings) > 0


def dbn_records(data: bytes) -> object:
    """A header and records behind it, cut anywhere: the same as in one piece."""
    whole, cut = (_split(data, at) for at in (len(data), 2 * len(data) // 3))
    assert whole == cut
    return _worded(whole) if isinstance(whole, str) else (len(whole[0]) > 0, whole[1])


def _worded(reason: str) -> str:
    return re.sub(r"[0-9,]+", "", reason)[:40]  # the same with other numbers is the same


def _split(data: bytes, at: int) -> Any:
    try:
        header = parse_header(data)
    except MalformedHeaderError as error:
        return error.reason
    splitter = RecordSplitter(header)
    parts = [part for part in (data[header.size : at], data[max(at, header.size) :]) if part]
    found = b""
    for piece in map(splitter.feed, parts):
        found += piece.data
        if header.schema is not None and splitter.problem is None:
            dtype = record_dtype(header.schema, ts_out=header.ts_out)
            assert all(len(records) for records in piece.of_schema(header.schema, dtype, 100, ()))
        if splitter.problem is not None:
            break
    return found, splitter.problem


def dbn_file(data: bytes) -> object:
    """A file, through all that a replay does with it."""
    with suppress(AssertionError):  # how many records are left is no concern of ours here
        return survive(_folder(), data)
    return "other"


def zstd(data: bytes) -> object:
    """An archive, by its frames and by its content."""
    path, size = _folder() / "x.zst", 0
    path.write_bytes(data)
    result: object = None
    with suppress(DamagedFileError, OSError, ValueError):
        frames = walk_frames(path)
        result = min(len(frames.whole), 3), frames.problem is None
    with suppress(DamagedFileError):
        stream = ZstdReader(BytesIO(data), "x")
        while (part := stream.read(1 << 16)) and size <= 1 << 22:  # a larger one is read as it comes
            size += len(part)
    return result, size.bit_length()


def frame(data: bytes) -> object:
    """What a vendor's socket sends."""
    reasons = set()
    for market in ("stocks", "options"):
        parsed = parse_frame(data, market, RECV, EventSource.POLYGON_WS)
        for event, _ in parsed.events:
            orjson.dumps(event)
        reasons |= {reject.reason[:20] for reject in parsed.rejects}
    return frozenset(reasons)


def ticker(data: bytes) -> object:
    """A ticker, read as it is written."""
    text = data.decode("utf-8", "replace")
    try:
        parsed = parse_option_ticker(text)
    except PayloadError:
        return "refused"
    assert str(parsed) == text
    return parsed.right


def sidecars(data: bytes) -> object:
    """The documents beside files and tapes."""
    folder = _folder() / "beside"
    folder.mkdir(exist_ok=True)
    for name in ("manifest.json", "condition.json", "symbology.json", "metadata.json"):
        (folder / name).write_bytes(data)
    beside = Sidecars(folder)
    results: list[object] = [len(beside.manifest(folder)), len(beside.symbology(folder))]
    try:
        results.append(beside.synthetic(folder))
    except DamagedFileError:
        results.append(None)
    tape = folder / "x.jsonl.zst"
    sidecar_path(tape).write_bytes(data)
    try:
        results.append(read_sidecar(tape) is not None)
    except DamagedFileError:
        results.append(None)
    return *results, len(beside.unreadable)


def tape_lines(data: bytes) -> object:
    """Lines of a tape: each is a message or named."""
    text = data + b"\n"
    lines = read_lines(text, SUBJECTS)
    assert len(lines) + len(lines.bad) == text.count(b"\n")
    for message in lines.messages(SUBJECTS):
        assert message.subject in SUBJECTS
    return len(lines) > 0, frozenset(bad.reason.partition(" ")[0] for bad in lines.bad) if len(lines.bad) < 3 else 3


def tape(data: bytes) -> object:
    """A tape, packed or not."""
    reader = TapeReader(BytesIO(data), name="x")
    count = sum(len(lines.messages(reader.subjects)) for lines in reader.lines())
    return (
        min(count, 8),
        frozenset(reader.findings.rejected),
        tuple(error.reason[:12] for error in reader.findings.damage[:1]),
    )


def record(data: bytes) -> object:
    """What the bucket holds: fields of the right types, or refused."""
    run = lease = None
    with suppress(KeyError, TypeError, ValueError):
        run = RunRecord.from_json(data)
    with suppress(KeyError, TypeError, ValueError):
        lease = Lease.from_json(data)
    if run is not None:
        text = run.run_id + run.command + run.stream + "".join(run.subjects) + run.host + run.stream_born
        number = run.position + run.started_ns + run.updated_ns + run.pid + (run.began_after or 0)
        if run.batch is not None:
            text, number = text + run.batch.name, number + run.batch.first + (run.batch.ends_seq or 0)
        assert (type(text), type(number)) == (str, int)
        assert not {run.options.get("x"), run.journal.get("x")} - {None}
    return run is not None, lease is not None


def config(data: bytes) -> object:
    """A file of settings."""
    path = _folder() / "spyctl" / "config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    with patch.dict(os.environ, {"XDG_CONFIG_HOME": str(_folder())}):
        try:
            settings = load(_command())
            return len(settings.defaults), min(len(settings.problems), 3)
        except UsageError as error:
            return _worded(error.message.rpartition("(")[2])[:12]


@cache
def _command() -> Any:
    return typer.main.get_command(app)


def gateway(data: bytes) -> object:
    """What the futures gateway says, cut anywhere: the same as in one piece."""
    whole, cut = (_heard(data[:at], data[at:]) for at in (len(data), len(data) // 2))
    assert whole == cut
    return whole[0][:12], len(whole[1]) > 0, whole[2]


def _heard(*parts: bytes) -> tuple[str, bytes, str]:
    protocol, heard = GatewayProtocol(Login("db-0123456789"), [Subscription("trades", ["ES.c.0"])]), b""
    try:
        for part in parts:
            piece = protocol.receive(part).piece
            heard += piece.data if piece is not None else b""
            if protocol.problem is not None:
                break
    except (GatewayProtocolError, LoginRefusedError) as error:
        return type(error).__name__, heard, ""
    return protocol.problem or "", heard, protocol.stage


def answer(data: bytes) -> object:
    """What JetStream answers, and what a server says of itself."""
    results = []
    for subject in ("STREAM.INFO.S", "STREAM.MSG.GET.S", "CONSUMER.CREATE.S", "INFO"):
        try:
            assert isinstance(read_answer(subject, data), dict)
            results.append(subject)
        except ValueError:
            pass
    with suppress(ValueError):
        results.append(str(is_info(orjson.loads(data))))
    return tuple(results)


def spool(data: bytes) -> object:
    """Events that waited on disk."""
    count = 0
    try:
        for event in pending.read(data):
            assert isinstance(event.subject + event.identity + event.feed, str)
            assert event.received_ns < 1 << 64
            count += 1
    except (ValueError, TypeError) as error:
        return type(error).__name__, min(count, 4)
    return min(count, 4)


def kernel(data: bytes) -> object:
    """Columns of trades, then of books, bit by bit: the kernel writes what numpy writes."""
    if (compiled := built_kernel()) is None:
        return None
    cut = min(len(data) // TRADE_DTYPE.itemsize, 4) * TRADE_DTYPE.itemsize
    end = cut + (len(data) - cut) // MBP10_DTYPE.itemsize * MBP10_DTYPE.itemsize
    trades, books = np.frombuffer(data[:cut], TRADE_DTYPE).copy(), np.frombuffer(data[cut:end], MBP10_DTYPE).copy()
    for part in (trades, books):  # what the normalizer never gives
        part["symbol"] %= len(NAMES.texts)
        for name in ("ts_event_ns", "ts_recv_ns"):
            part[name] &= (1 << 63) - 1
    trades["price"][trades["price"] == UNDEF_PRICE] = 0
    trades["aggressor"], trades["exchange"] = (trades["aggressor"] & 3) % 3 - 1, b"CME"
    books["is_snapshot"] = books["is_snapshot"].view("u1") & 1
    written = []
    for encoder in (None, compiled):
        with encoded_by(encoder):
            batch = Batch((trades, books), np.arange(len(trades) + len(books)), NAMES)
            written.append([payload for piece in encode_batch(batch) for payload in piece.payloads()])
    assert written[0] == written[1]
    return len(written[0])


def _json(*documents: object) -> tuple[bytes, ...]:
    return tuple(map(orjson.dumps, documents))


_RECORD = orjson.loads(orjson.dumps(RunRecord("a", "replay", "S", ["a"], [{"path": "x"}], {"count": None}, 7)))
_CHECKPOINT = {"checkpoint": {"position": 5, "seq": 9, "mark": "x"}, "batch": {"name": "b", "first": 6, "ends_seq": 1}}
_FLAT = {"position": 3, "seq": 4, "batch": "b", "batch_first": 2, "state": "Ctrl-C"}
_BARE = {key: value for key, value in _RECORD.items() if key not in ("checkpoint", "batch", "journal")}
_LEASE = {
    "token": "t", "run_id": "a", "host": "h", "pid": 1, "started_ns": 1, "renewed_ns": 2, "boot": "", "pids": "",
    "ticked_ns": 3,
}  # fmt: skip
_STREAM = {"config": {"name": "S"}, "state": {"messages": 1, "bytes": 1, "first_seq": 1, "last_seq": 1}}
_SPOOLED = b"".join(
    pending.written([Pending(b'{"price":1.5}', f"id{n}", "market.stocks.trades", "stocks", n)]) for n in range(3)
)
_PRICES = (UNDEF_PRICE, 0, 250_000_000, -5_000_000_000, 999_999, 10**6, 10**15, 10**15 - 1, 109_015_625_000, -(1 << 63))
_GREETED = b"lsg_version=0.6.2\ncram=x\nsuccess=1|session_id=7\n"
_SETTINGS = b'data-dir = "~/es"\nspeed = 10\n[replay]\nspeed = "max"\ncount = 5\nsymbol = ["ES.c.0"]\n'
_BESIDE = _json(
    {"files": [{"filename": "a.dbn", "size": 1, "hash": "sha256:00"}]},
    [{"date": "2025-12-17", "condition": "degraded"}],
    {"synthetic": True},
    {"result": {"ES.c.0": [{"d0": "2025-12-16", "d1": "2025-12-17", "s": "7"}]}, "stype_in": "continuous"},
    {"format": "spyctl tape 1", "stream": "S", "stream_created": "x", "prefix": "", "subjects": ["a"],
     "trading_day": "2025-12-16", "read_to_seq": 9, "complete": True,
     "gaps": [{"first_seq": 1, "last_seq": 2, "reason": "x"}]},
)  # fmt: skip
_TOML = (b"[replay]\n", b"[[a]]\n", b"'''", b'"""', b" = ", b"1979-05-27T07:32:00Z", b"inf", b"{a=1}", b"\r", b"#")


def _columns() -> bytes:
    trades, books = np.zeros(4, TRADE_DTYPE), np.zeros(4, MBP10_DTYPE)
    for part in (trades, books):
        part["ts_event_ns"] = part["ts_recv_ns"] = T0
    trades["price"] = 6_800_250_000_000
    books["levels"]["bid_px"], books["levels"]["ask_px"] = 6_800_250_000_000, 6_800_500_000_000
    return trades.tobytes() + books.tobytes()


_COLUMNS = _columns()
TARGETS = {
    target.name: target
    for target in (
        Target("dbn-header", dbn_header, HEADERS, (b"DBN\x01", b"DBN\x03", b"\xff\xff\xff\xff")),
        Target("dbn-records", dbn_records, RECORDS, (b"DBN\x01", b"\x0c\x00", b"\x5c\x0a", b"\x14\x17", b"\x00\x00")),
        Target("dbn-file", dbn_file, (PLAIN, PACKED), (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", HEAD)),
        Target("zstd", zstd, (PACKED, zstd_frames(TAPE, 40)), (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\xff" * 4)),
        Target("frame", frame, _json([TRADE, QUOTE], [OPTION], [{"ev": "status", "status": "x"}]), JSON_WORDS),
        Target("ticker", ticker, (b"O:SPY251216C00676000", b"O:X250101P00000001"), (b"\xd9\xa3", b"O:", b"C", b"-")),
        Target("sidecars", sidecars, _BESIDE, (*JSON_WORDS, b"2025-13-40")),
        Target("tape-lines", tape_lines, (TAPE, *TAPE.splitlines()), (*JSON_WORDS, b"}}", b'"event":{')),
        Target("tape", tape, (TAPE, zstd_frames(TAPE, 40)), (*JSON_WORDS, b"\x28\xb5\x2f\xfd", b"\n\n")),
        Target("record", record, _json(_RECORD, _RECORD | _CHECKPOINT, _BARE | _FLAT, _LEASE), JSON_WORDS),
        Target("config", config, (_SETTINGS,), (*_TOML, *_NUMBERS)),
        Target(
            "gateway",
            gateway,
            (_GREETED + live_header("GLBX.MDP3") + RECORDS[1][len(HEADERS[2]) :], _GREETED, b"success=0|error=no\n"),
            (b"|", b"=", b"\n", b"cram=", b"success=1", b"error=", b"DBN\x03", b"\xff", b"x" * 100),
        ),
        Target("answer", answer, _json(_STREAM, {"error": {"code": 500}}, {"num_pending": 1}), JSON_WORDS),
        Target("spool", spool, (_SPOOLED,), JSON_WORDS),
        Target("kernel", kernel, (_COLUMNS,), tuple(number.to_bytes(8, "little", signed=True) for number in _PRICES)),
    )
}  # fmt: skip
