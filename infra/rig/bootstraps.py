"""The functions' binaries: built, checked for what they need of the system, zipped."""

import os
import platform
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

from .say import check, note

FUNCTIONS = ["submit", "step", "status", "artifacts", "control", "notify", "deliver", "clock", "discord", "telegram"]
# What Amazon Linux 2023 has.
GLIBC_MAX = (2, 34)
BUILD_S = 3600
# An upload to Lambda may have 50 MB; this is about how fast a function starts.
MB_MAX = 10.0
ZIP_MB_MAX = 4.5
# Where panics unwind there is more of this than what the standard library has of it.
UNWINDS_BYTES = 100_000


def architecture() -> str:
    """This machine's processor, as the template calls it."""
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


def make_way(target: Path) -> None:
    """Removes what cargo built when a profile was called `lambda`: it stands where cargo-lambda makes its folders."""
    for left in (target / "lambda", target / "lambda-step"):
        if (left / ".fingerprint").is_dir():
            shutil.rmtree(left)


def build(target: Path, tools: Path, template: Path, into: Path) -> Path:
    """The functions as users build them, for this machine's processor; answers the folder of their folders."""
    make_way(target)
    chosen = f"ParameterKey=Architecture,ParameterValue={architecture()}"
    # Flags of the machine would take the place of those that the workspace's manifest gives.
    kept = {name: value for name, value in os.environ.items() if name not in ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")}
    found = f"{tools}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [tools / "sam", "build", "--template", template, "--build-dir", into, "--parameter-overrides", chosen],
        env=kept | {"PATH": found, "SAM_CLI_TELEMETRY": "0"},
        check=True,
        timeout=BUILD_S,
    )
    return into


def build_cli(target: Path) -> Path:
    """The command line, as tests build it; answers the binary."""
    return build_programs(target) / "convoke"


def build_programs(target: Path) -> Path:
    """The command line, and the example that asks a model, as tests build them; answers their folder."""
    wanted = ["--workspace", "--bin=convoke", "--example=converse"]
    subprocess.run(["cargo", "build", "--locked", *wanted], check=True, timeout=BUILD_S)
    return target / "debug"


def glibc_of(binary: Path) -> tuple[int, ...]:
    """The newest glibc that a binary asks for."""
    symbols = subprocess.run(["objdump", "-T", binary], check=True, capture_output=True, text=True).stdout
    asked = {tuple(int(part) for part in found.split(".")) for found in re.findall(r"GLIBC_([0-9.]+)", symbols)}
    return max(asked)


def unwinds(binary: Path) -> bool:
    """Whether what panics can be caught."""
    sections = subprocess.run(["objdump", "-h", binary], check=True, capture_output=True, text=True).stdout
    found = re.search(r"\.gcc_except_table\s+([0-9a-f]+)", sections)
    return found is not None and int(found[1], 16) > UNWINDS_BYTES


def packed(folder: Path, into: Path) -> dict[str, Path]:
    """The zips, by function; each holds one file, `bootstrap`."""
    into.mkdir(parents=True, exist_ok=True)
    zips = {}
    for name in FUNCTIONS:
        binary = folder / name.capitalize() / "bootstrap"
        zips[name] = into / f"{name}.zip"
        entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o755 << 16
        with zipfile.ZipFile(zips[name], "w", compresslevel=9) as archive:
            archive.writestr(entry, binary.read_bytes())
        sizes = os.path.getsize(binary) / 1e6, os.path.getsize(zips[name]) / 1e6
        newest = glibc_of(binary)
        note(f"{name:<10} {sizes[0]:6.2f} MB, zipped {sizes[1]:5.2f} MB, glibc {'.'.join(map(str, newest))}")
        check(newest <= GLIBC_MAX, f"Amazon Linux 2023 has the glibc that {name} needs", newest)
        check(sizes[0] <= MB_MAX and sizes[1] <= ZIP_MB_MAX, f"{name} is small", sizes)
        word = "unwinds" if name == "step" else "ends its process"
        check(unwinds(binary) == (name == "step"), f"what panics in {name} {word}")
    return zips
