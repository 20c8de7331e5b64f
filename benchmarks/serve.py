"""How quick ``mien serve`` is, what it costs in memory, and what it does under too much load.

    python benchmarks/serve.py docs/astronaut.jpg [--requests 200] [--long 2000] [--seconds 8]
        [--record benchmarks/serve.json]

Two workers on loopback; the client runs on the same cores and takes its share. Times are also given as ratios to
``Recognizer.predict`` of the same bytes with one thread, timed in the same run before and after, for a machine that
other programs share. Overload comes at four times the rate that eight clients reached, whatever was answered; its times
are given as the client sees them, its own waiting for a processor included, and as the service logs them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import recording

from mien import Recognizer

WORKERS = 2
PATH = "/v1/predict"


def main() -> None:
    """Measure, print, record."""
    parser = recording.parser(__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--long", type=int, default=2000, help="requests over which memory is watched")
    parser.add_argument("--seconds", type=float, default=8, help="of overload")
    asked = parser.parse_args()
    data = asked.picture.read_bytes()
    load = [round(one, 1) for one in os.getloadavg()]
    before = predict_time(data)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(data, asked, Path(folder)))
    base = statistics.median([before, predict_time(data)])
    found["predict_ms"] = round(base, 1)
    found["ratios"] = {
        "one_client_p50_to_predict": round(found["one_client"]["p50_ms"] / base, 2),
        "eight_clients_rate_to_predict": round(found["eight_clients"]["per_second"] * base / 1000, 2),
        "first_to_p50": round(found["first_ms"] / found["one_client"]["p50_ms"], 2),
        "overload_accepted_in_service_p95_to_predict": ratio(found["overload"].get("accepted_in_service_p95_ms"), base),
        "overload_refused_in_service_p99_to_predict": ratio(found["overload"].get("refused_in_service_p99_ms"), base),
    }
    found["machine"] = {"cores": os.cpu_count(), "load_average": load}
    recording.show(found, asked.record)


def ratio(milliseconds: float | None, base: float) -> float | None:
    """Of two times."""
    return None if milliseconds is None else round(milliseconds / base, 2)


def predict_time(data: bytes) -> float:
    """Milliseconds of ``Recognizer.predict``, one thread: the median of 40."""
    recognizer = Recognizer(threads=1)
    times = []
    for _ in range(45):
        began = time.perf_counter()
        recognizer.predict(data)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[5:])


async def measure(data: bytes, asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start the service, ask it, end it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    log = folder / "log"
    command = [sys.executable, "-m", "mien", "serve", "--port", str(port), "--workers", str(WORKERS)]
    began = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(command, stderr=file, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        while sum(b'"ready"' in line for line in log.read_bytes().splitlines()) < WORKERS:
            if process.poll() is not None or time.perf_counter() - began > 120:
                raise SystemExit(log.read_text())
            await asyncio.sleep(0.01)
        found: dict[str, Any] = {"workers": WORKERS, "ready_s": round(time.perf_counter() - began, 2)}
        limits = httpx2.Limits(max_connections=400, max_keepalive_connections=400)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=60) as client:
            await client.get("/health/ready")
            found["first_ms"] = round((await timed(client, data))[1], 1)
            found["one_client"] = await closed(client, data, asked.requests, 1)
            found["eight_clients"] = await closed(client, data, asked.requests, 8)
            found["same_bytes_of_64_at_once"] = await alike(client, data)
            found["memory"] = await memory(client, data, asked.long, process.pid)
            start = log.stat().st_size
            found["overload"] = await overload(client, data, 4 * found["eight_clients"]["per_second"], asked.seconds)
            found["overload"] |= in_the_service(log.read_bytes()[start:])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    return found


async def timed(client: httpx2.AsyncClient, data: bytes) -> tuple[int, float, bytes]:
    """Status, milliseconds and reply of a request."""
    began = time.perf_counter()
    reply = await client.post(PATH, content=data)
    return reply.status_code, 1000 * (time.perf_counter() - began), reply.content


async def closed(client: httpx2.AsyncClient, data: bytes, count: int, clients: int) -> dict[str, float]:
    """So many clients, each of which asks again once it has its answer."""
    times: list[float] = []

    async def one() -> None:
        for _ in range(count // clients):
            status, taken, _ = await timed(client, data)
            assert status == 200, status
            times.append(taken)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    rate = len(times) / (time.perf_counter() - began)
    return {"requests": len(times), "per_second": round(rate, 1), **percentiles(times)}


def percentiles(times: list[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds."""
    if not times:
        return {}
    ranked = sorted(times)
    return {f"p{at}_ms": round(ranked[min(len(ranked) * at // 100, len(ranked) - 1)], 1) for at in (50, 95, 99)}


async def alike(client: httpx2.AsyncClient, data: bytes) -> bool:
    """Whether 64 answers at once are the bytes of one alone; who is refused asks again."""
    serial = (await timed(client, data))[2]

    async def one() -> bytes:
        while True:
            status, _, content = await timed(client, data)
            if status == 200:
                return content
            await asyncio.sleep(0.2)

    return set(await asyncio.gather(*(one() for _ in range(64)))) == {serial}


async def memory(client: httpx2.AsyncClient, data: bytes, count: int, parent: int) -> dict[str, Any]:
    """Resident megabytes of the workers before and after many requests."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def resident() -> list[float]:
        lines = [Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0] for pid in workers]
        return [round(int(one) / 1024, 1) for one in lines]

    await closed(client, data, 200, 4)
    before = resident()
    await closed(client, data, count, 4)
    after = resident()
    growth = max(b - a for a, b in zip(before, after, strict=True))
    return {"requests": count, "worker_mb": after, "growth_mb": round(growth, 1)}


async def overload(client: httpx2.AsyncClient, data: bytes, rate: float, seconds: float) -> dict[str, Any]:
    """Requests at a rate, without waiting for answers."""
    asked: list[asyncio.Task[tuple[int, float, bytes]]] = []
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        while len(asked) < rate * passed:
            asked.append(asyncio.create_task(timed(client, data)))
        await asyncio.sleep(0.005)
    found = await asyncio.gather(*asked)
    accepted = [taken for status, taken, _ in found if status == 200]
    refused = [taken for status, taken, _ in found if status == 429]
    return {
        "asked_per_second": round(rate, 1),
        "asked": len(found),
        "accepted": len(accepted),
        "refused_429": len(refused),
        "other": len(found) - len(accepted) - len(refused),
        **{f"accepted_{name}": value for name, value in percentiles(accepted).items()},
        **{f"refused_{name}": value for name, value in percentiles(refused).items()},
    }


def in_the_service(log: bytes) -> dict[str, float]:
    """The same by the service's own log: from a request's headers to its reply, the client's waiting left out."""
    lines = [json.loads(line) for line in log.splitlines()]
    times = {status: [line["ms"] for line in lines if line.get("status") == status] for status in (200, 429)}
    names = {200: "accepted_in_service", 429: "refused_in_service"}
    return {f"{names[at]}_{name}": value for at in times for name, value in percentiles(times[at]).items()}


def table(found: dict[str, Any]) -> str:
    """The table of docs/serve.md."""
    one, eight, load = found["one_client"], found["eight_clients"], found["overload"]
    base = found["predict_ms"]
    rows = [
        ("`Recognizer.predict`, one thread", f"{base} ms", 1.0),
        ("one client, p50", f"{one['p50_ms']} ms", round(one["p50_ms"] / base, 2)),
        ("first request", f"{found['first_ms']} ms", round(found["first_ms"] / base, 2)),
        ("eight clients, rate", f"{eight['per_second']}/s", round(eight["per_second"] * base / 1000, 2)),
        ("eight clients, p95", f"{eight['p95_ms']} ms", round(eight["p95_ms"] / base, 2)),
        ("overload: refused in the service, p50", f"{load['refused_in_service_p50_ms']} ms",
         round(load["refused_in_service_p50_ms"] / base, 2)),
        ("overload: accepted in the service, p95", f"{load['accepted_in_service_p95_ms']} ms",
         round(load["accepted_in_service_p95_ms"] / base, 2)),
    ]  # fmt: skip
    return recording.markdown(("", "measured", "against `predict`"), rows)


if __name__ == "__main__":
    main()
