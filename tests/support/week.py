"""A generated week with faults planted, and what spyctl says of it: ``docs/week.md`` and its picture.

``make pictures`` writes both; a test holds the page to what the program prints.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zstandard

from spyctl.dbn.reader import DBNFile
from spyctl.dbn.records import Records
from tests.support.records import MS, SECOND, metadata, zstd_frames
from tests.support.reference import ROOT

SUNDAY, DAYS = "2025-12-14", "2025-12-15..2025-12-19"
WORST = "2025-12-17"
COMMANDS = (
    "spyctl discover --data-dir week",
    "spyctl discover --data-dir week --check",
    f"spyctl discover --data-dir week --report {WORST} --picture week.svg",
)
PAGE = """# A week with faults planted

A generated week, bent in as many ways as its days allow, and what spyctl says of it. Made by `make pictures`; a test
keeps it equal to what the program prints. What was planted:

| day | what |
|---|---|
| Sunday | files without records |
| Monday | the trades a second time, under the name of another job |
| Tuesday | no book file, though the manifest lists one; an `ohlcv-1d` file and a `.dbz` beside |
| Wednesday | called degraded by the vendor; in the books 20 records flagged MAYBE_BAD_BOOK, 3 BAD_TS_RECV, 5 crossed, \
one 50 ms back in time, one sent after it was received, 65 seconds cut out; 5 trades taken out; \
all sequences start anew |
| Thursday | the books unpacked beside their archive, and cut at the end of a record: the archive is used |
| Friday | the books cut inside a frame; one bit of the trades flipped |

"""


def unpacked(path: Path) -> bytes:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader:
        return bytes(reader.read())


def bend(path: Path, change: Callable[[Records], Records]) -> None:
    """Write a compressed file anew with its records changed."""
    file, data = DBNFile(path), unpacked(path)
    head = file.header.size
    records = change(np.frombuffer(data[head:], file.dtype).copy())
    path.write_bytes(zstd_frames(data[:head] + records.tobytes(), head))


def spoil_books(records: Records) -> Records:
    records["flags"][1_000:1_020] |= 4
    records["flags"][1_500:1_503] |= 8
    top = records["levels"][2_000:2_005, 0]
    top["bid_px"] = top["ask_px"] + 250_000_000
    records["ts_event"][2_500] -= 50 * MS
    records["ts_event"][3_300] = records["ts_recv"][3_300] + MS
    start_anew(records)
    since = records["ts_recv"][0] + 110 * SECOND
    return records[(records["ts_recv"] < since) | (records["ts_recv"] >= since + 65 * SECOND)]


def spoil_trades(records: Records) -> Records:
    start_anew(records)
    return np.delete(records, range(50, 100, 10))


def start_anew(records: Records) -> None:
    records["sequence"][records["ts_recv"] % (3_600 * SECOND) >= 1_600 * SECOND] -= 500


def plant(root: Path) -> None:
    """Generate the week and bend it."""
    sample = ("spyctl", "sample", "--data-dir", str(root), "--length", "3m", "--rate", "40")
    run(*sample, "--date", SUNDAY, "--start", "09:25", cwd=root.parent)  # hours before it opens
    run(*sample, "--date", DAYS, cwd=root.parent)

    def of(schema: str, day: int) -> Path:
        return root / {"trades": "trades", "mbp-10": "MBP-10"}[schema] / f"glbx-mdp3-202512{day}.{schema}.dbn.zst"

    bend(of("mbp-10", 17), spoil_books)
    bend(of("trades", 17), spoil_trades)
    files = sorted(root.rglob("*.dbn.zst"))
    listed = [(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    (root / "manifest.json").write_text(
        json.dumps({"files": [{"filename": name, "size": size, "hash": f"sha256:{h}"} for name, size, h in listed]})
    )
    (root / "condition.json").write_text(json.dumps([{"date": WORST, "condition": "degraded"}]))
    again = root / "GLBX-20251220-AB12CD34EF"
    again.mkdir()
    shutil.copy(of("trades", 15), again / "glbx-mdp3-20251215-20251215.trades.dbn.zst")
    of("mbp-10", 16).unlink()
    (root / "glbx-mdp3-20251216.ohlcv-1d.dbn").write_bytes(metadata("ohlcv-1d"))
    (root / "glbx-mdp3-20251216.trades.dbz").write_bytes(b"old")
    of("mbp-10", 18).with_suffix("").write_bytes(unpacked(of("mbp-10", 18))[: -368 * 20])
    of("mbp-10", 19).write_bytes(of("mbp-10", 19).read_bytes()[:-1_000])
    bent = bytearray(of("trades", 19).read_bytes())
    bent[len(bent) // 2] ^= 1
    of("trades", 19).write_bytes(bent)


def run(*arguments: str, cwd: Path) -> tuple[str, int]:
    """Run a program as in a terminal of 120 columns, without colours; returns what it says and its exit code."""
    plain = {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1", "XDG_CACHE_HOME": str(cwd / "cache")}
    program = str(Path(sys.executable).with_name(arguments[0]))
    result = subprocess.run(
        [program, *arguments[1:]], cwd=cwd, env=os.environ | plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    return result.stdout, result.returncode


def page(folder: Path) -> tuple[str, str]:
    """Plant the week in a folder; returns the page, and the picture."""
    plant(folder / "week")
    parts = [PAGE]
    for command in COMMANDS:
        said, code = run(*command.split(), cwd=folder)
        lines = "\n".join(line.rstrip() for line in said.strip("\n").splitlines())
        parts.append(f"```console\n$ {command}\n{lines}\n```\n\nExit code {code}.\n\n")
    return "".join([*parts, f"![{WORST}](week.svg)\n"]), (folder / "week.svg").read_text()


def write() -> None:
    """Write the page and its picture into ``docs/``."""
    with tempfile.TemporaryDirectory() as folder:
        text, picture = page(Path(folder))
    (ROOT / "docs" / "week.md").write_text(text)
    (ROOT / "docs" / "week.svg").write_text(picture)
    print("docs/week.md\ndocs/week.svg")


def masked(text: str) -> str:
    """Return a page without what another version of the compressor changes: sizes, offsets, and how they align."""
    return re.sub(r"[\d,.]+( [kM]?B)?", "#", re.sub(r" +", " ", text))


if __name__ == "__main__":
    write()
