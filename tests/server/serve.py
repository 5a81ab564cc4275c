"""Start the real development server on a free port, and stop it again by its process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds; a busy machine takes a while to import everything


@contextmanager
def serve(
    config: Path,
    folder: Path,
    end: signal.Signals = signal.SIGINT,
    *,
    python: str = sys.executable,
    cwd: Path = ROOT,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[str]:
    """Yield the address of a server of a configuration.

    Args:
        config: its `langgraph.json`.
        folder: where its data and its log, `server.log`, go.
        end: the signal that stops it.
        python: who runs it.
        cwd: where.
        environment: the variables that it begins with.
    """
    port = _free_port()
    command = [python, "-m", "langgraph_cli", "dev", "--config", str(config)]
    options = ["--no-browser", "--no-reload", "--n-jobs-per-worker", "40", "--port", str(port)]
    log = folder / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, *options],
            cwd=cwd,
            env={
                **environment,
                "APPRENTICE_DATA": str(folder / "data"),
                "LANGGRAPH_DISABLE_FILE_PERSISTENCE": "true",
                "LANGSMITH_TRACING": "false",
                "LANGGRAPH_NO_VERSION_CHECK": "true",
            },
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            _await(address, process, log)
            yield address
        finally:
            process.send_signal(end)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urlopen(f"{address}/ok", timeout=10):  # noqa: S310 - our own address
                return
        except (URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"The server did not start:\n{log.read_text()[-4000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
