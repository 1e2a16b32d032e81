"""A real Dask cluster of processes on the loopback interface."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Cluster:
    """A scheduler and its workers, started and killed as processes.

    Workers run in an empty folder of their own: nothing of a study is there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self, workers: int = 0) -> None:
        """Start the scheduler, again at the same address, and some workers."""
        flags = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self.scheduler = self._process("dask_scheduler", flags)
        for _ in range(workers):
            self.add_worker()
        self._wait(workers)

    def _wait(self, workers: int, seconds: float = 240.0) -> None:
        """Wait until the scheduler answers and has its workers."""
        from distributed import Client

        until = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        if workers:
            with Client(self.address, timeout=60, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=seconds)

    def add_worker(self, *flags: str, **environment: str) -> subprocess.Popen[bytes]:
        usual = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        worker = self._process("dask_worker", [self.address, *usual, *flags], **environment)
        self.workers.append(worker)
        return worker

    @contextmanager
    def kept_up(self) -> Iterator[None]:
        """Start a worker for each that dies, as an adaptive cluster does."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.3):
                for worker in [one for one in self.workers if one.poll() is not None]:
                    self.workers.remove(worker)
                    self.add_worker()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def stop(self) -> None:
        """Kill everything."""
        for process in [*self.workers, self.scheduler]:
            if process is not None:
                process.kill()
                process.wait()
        self.workers.clear()

    def _process(
        self, module: str, flags: list[str], **environment: str
    ) -> subprocess.Popen[bytes]:
        home = self.folder / f"{module}-{len(self.workers)}-{free_port()}"
        home.mkdir(parents=True)
        known = {
            "PYTHONPATH": str(ROOT),
            "OFFMAP_CACHE": str(home / "cache"),
            "OMP_NUM_THREADS": "2",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            "DASK_TEMPORARY_DIRECTORY": str(home),
        }
        with (home / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *flags],
                env=os.environ | known | environment,
                cwd=home,
                stdout=log,
                stderr=log,
            )
