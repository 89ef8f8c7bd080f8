"""The emulator of AWS, as a process that ends with the rig, and everything that it started."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from .say import Failed, within

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_S = 60
END_S = 15


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid: int) -> list[int]:
    """All processes that a process started, and those that they started."""
    found = []
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return found
    for task in tasks:
        try:
            direct = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in direct:
            found += [child, *children(child)]
    return found


class Emulator:
    """Serves AWS's services on a port of 127.0.0.1. With `auth` the policies of users and roles hold; models of Bedrock
    answer as the server of chat completions at `models` does."""

    def __init__(self, program: Path, run: Path, models: str, auth: bool = False):
        self.folder = run / "emulated"
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(run / "emulator.log", "wb")
        self.process = subprocess.Popen(
            [program],
            env=self._environment(auth, models),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        within(START_S, "the emulator answers", self._answers)

    def _environment(self, auth: bool, models: str) -> dict[str, str]:
        # Functions inherit what stands here, so nothing of the caller's own may.
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "AUTH": "true" if auth else "false",
            "MINISTACK_BEDROCK_PROXY_URL": models,
        }

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise Failed(f"the emulator ended with {self.process.returncode}; see {self.log.name}")
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def client_environment(self) -> dict[str, str]:
        """What a client of it has in its environment."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return mine | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "SAM_CLI_TELEMETRY": "0",
        }

    def stop(self):
        """Ends it and what it started, each by its id; killed where they don't end."""
        all_of_it = [self.process.pid, *children(self.process.pid)]
        self.process.send_signal(signal.SIGTERM)
        ends = time.monotonic() + END_S
        while time.monotonic() < ends and self.process.poll() is None:
            time.sleep(0.1)
        for pid in all_of_it:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.log.close()
