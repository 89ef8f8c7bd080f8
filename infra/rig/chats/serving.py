"""A `convoke serve` with bots, as a process that ends with the rig."""

import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path

from ..model import KEY, NAME, Models
from ..say import Failed

START_S = 60
END_S = 15


class Serving:
    """An installation on this machine, whose model is scripted. `lines` are what it has printed so far."""

    def __init__(self, cli: Path, folder: Path, models: Models, settings: dict[str, str], *flags: str):
        folder.mkdir(parents=True)
        self.cli, self.folder, self.lines = cli, folder, []
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CONVOKE_DATA_DIR": str(folder / "data"),
            "CONVOKE_MODEL": NAME,
            "CONVOKE_COMPATIBLE_BASE_URL": models.url,
            "CONVOKE_COMPATIBLE_API_KEY": KEY,
            "CONVOKE_COMPATIBLE_CONTEXT_TOKENS": "32000",
            "CONVOKE_COMPATIBLE_CAPABLE": "false",
            "NO_PROXY": "*",
            **settings,
        }
        self.log = open(folder / "serve.log", "wb")
        self.process = subprocess.Popen(
            [cli, "serve", "--port", "0", *flags],
            env=self.environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self._printed: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._printed.put(line.rstrip("\n"))
        self._printed.put(None)

    def line(self, holding: str) -> str:
        """The first line that holds a text; it is waited for."""
        ends = time.monotonic() + START_S
        while True:
            found = next((line for line in self.lines if holding in line), None)
            if found is not None:
                return found
            try:
                printed = self._printed.get(timeout=max(0.0, ends - time.monotonic()))
            except queue.Empty:
                raise Failed(f"convoke serve prints no {holding!r} within {START_S} s") from None
            if printed is None:
                self.log.flush()
                raise Failed(f"convoke serve ended: {Path(self.log.name).read_text()[-2000:]}")
            self.lines.append(printed)

    def convoke(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs the command line beside it."""
        return subprocess.run(
            [self.cli, *arguments], env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=60
        )

    def stop(self):
        """Tells it to end, and waits."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failed(f"convoke serve doesn't end within {END_S} s") from None
        self.log.close()
