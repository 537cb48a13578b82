"""A real OBS Studio beside a real relens, seen working: OBS publishes by RTMP, shows the edited stream in a
media source, and its relens script changes the edit by hotkeys. Writes a screenshot.

    .venv/bin/python .ci/obs_world.py [PICTURE.png]

Started by `.ci/obs`, which installs what this needs. Exits with 1 and a sentence when something fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from obs_control import Control, Failed
from obs_profile import BACK, CLIP, EDITED_SCENE, HOTKEY, KEY, ROOT, SOURCE_SCENE, WIDTH, World, write_profile
from PIL import Image

LIMIT_S = 75.0  # of each thing that is waited for
SCREEN = (1080, 730)  # as large as OBS opens its window
PRESETS = [
    {"name": "Black and white", "prompt": "make it black and white", "transitionMs": 0},
    {"name": "Starry Night", "prompt": "paint it like Starry Night", "transitionMs": 0},
]
GREY, COLOURFUL = 6.0, 12.0  # mean distance of a pixel's channels from each other, of 255
MOVES, ALIKE = 1.0, 8.0  # mean of the difference, and difference of the means, of 255
MOST_BYTES = 300_000
TYPED = "make it night and rainy"
# Where OBS 29 has what is clicked, on a screen of this size and without a window manager.
TOOLS, SCRIPTS, INSTRUCTION, APPLY, CLOSE = (378, 13), (389, 147), (774, 221), (709, 309), (872, 541)
SCRIPTS_WINDOW = "775x491+143+80"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


# -- the three processes


@contextlib.contextmanager
def running(
    name: str, command: list[str], folder: Path, environ: dict[str, str], **how: Any
) -> Iterator[Any]:
    """Ended with all it started, whatever happens. What it says is in `folder`/`name`.log."""
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=environ, cwd=ROOT, start_new_session=True, **how
        )
    try:
        yield process
    except BaseException:
        print(
            f"--- {name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-60:]), file=sys.stderr
        )
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
                break


@contextlib.contextmanager
def screen(folder: Path) -> Iterator[str]:
    """An X server of its own; its DISPLAY."""
    reads, writes = os.pipe()
    command = [
        "Xvfb",
        "-displayfd",
        str(writes),
        "-screen",
        "0",
        f"{SCREEN[0]}x{SCREEN[1]}x24",
        "-nolisten",
        "tcp",
    ]
    with running("xvfb", command, folder, dict(os.environ), pass_fds=(writes,)):
        os.close(writes)
        with os.fdopen(reads) as told:
            number = told.readline().strip()
        if not number:
            raise Failed("Xvfb does not start")
        yield f":{number}"


# -- OBS


async def connect(http: aiohttp.ClientSession, world: World) -> Control:
    until_s = time.monotonic() + LIMIT_S
    while True:
        try:
            control = Control(await http.ws_connect(f"ws://127.0.0.1:{world.control}"))
            await control.begin()
            return control
        except (OSError, aiohttp.ClientError) as error:
            if time.monotonic() > until_s:
                raise Failed("OBS does not come up") from error
            await asyncio.sleep(0.5)


async def until(what: str, met: Callable[[], Any]) -> Any:
    """The first true answer of `met`, a coroutine function."""
    until_s = time.monotonic() + LIMIT_S
    while not (answer := await met()):
        if time.monotonic() > until_s:
            raise Failed(f"what was waited for did not happen: {what}")
        await asyncio.sleep(0.5)
    print(f"ok    {what}", flush=True)
    return answer


# -- what is seen


def colour(picture: np.ndarray[Any, Any]) -> float:
    return float((picture.max(2) - picture.min(2)).mean())


class Room:
    """What OBS and relens say and show."""

    def __init__(self, http: aiohttp.ClientSession, control: Control, world: World) -> None:
        self._http, self._control, self._world = http, control, world

    async def facts(self) -> dict[str, Any]:
        async with self._http.get(f"{self._world.base}/streams/live") as reply:
            return dict(await reply.json())

    async def live(self) -> bool:
        found = await self.facts()
        return found["state"] == "live" and found["width"] == WIDTH

    async def waiting(self) -> bool:
        return (await self.facts())["state"] == "waiting"

    async def source_is_colourful(self) -> bool:
        return colour(await self._control.picture(CLIP)) > COLOURFUL

    async def back_is_colourful(self) -> bool:
        return colour(await self._control.picture(BACK)) > COLOURFUL

    async def back_alone_is_grey(self) -> bool:
        back = await self._control.picture(BACK)
        grey = colour(back) < GREY and float(back.std()) > 10
        return grey and await self.source_is_colourful()

    async def back_is_painted(self) -> bool:
        received = (await self.facts())["edit"]["received"]
        return received["prompt"] == PRESETS[1]["prompt"] and await self.back_is_colourful()

    async def typed(self) -> bool:
        return (await self.facts())["edit"]["received"]["prompt"] == TYPED

    async def back_moves(self) -> bool:
        before = await self._control.picture(BACK)
        await asyncio.sleep(0.5)
        moved = np.abs(await self._control.picture(BACK) - before).mean()
        return moved > MOVES and await self.back_is_painted()

    async def alike(self) -> bool:
        """In their colours: the one is behind the other by what the way takes."""
        source, back = await self._control.picture(CLIP), await self._control.picture(BACK)
        return bool(np.abs(source.mean((0, 1)) - back.mean((0, 1))).max() < ALIKE)


async def see(world: World, display: str, picture: Path | None) -> None:
    async with aiohttp.ClientSession() as http:
        control = await connect(http, world)
        room = Room(http, control, world)
        version = await control.ask("GetVersion")
        print(f"OBS {version['obsVersion']}, obs-websocket {version['obsWebSocketVersion']}", flush=True)
        await until("OBS plays the sample clip", room.source_is_colourful)
        await control.ask("SetStudioModeEnabled", studioModeEnabled=True)
        await control.ask("SetCurrentProgramScene", sceneName=SOURCE_SCENE)
        await control.ask("SetCurrentPreviewScene", sceneName=EDITED_SCENE)
        await control.ask("StartStream")
        await until("relens says that OBS publishes", room.live)
        publisher = (await room.facts())["publisher"]
        print(
            f"      {publisher['kind']} {publisher['codec']}+{publisher['audio']} by {publisher['software']}"
        )
        await until("OBS shows what relens sends back, not edited yet", room.back_is_colourful)
        await control.ask("TriggerHotkeyByName", hotkeyName="relens_preset_1")
        await until(
            "after preset 1's hotkey it is black and white, and the source is not", room.back_alone_is_grey
        )
        await asyncio.to_thread(on_screen, display, "xdotool", "key", HOTKEY)
        await until(f"after the key {HOTKEY} (preset 2) it is painted", room.back_is_painted)
        if picture is not None:
            await asyncio.sleep(2)
            await asyncio.to_thread(take, display, picture)
        await asyncio.to_thread(type_in_window, display)
        await until("what was typed into the script's window is asked for", room.typed)
        if picture is not None:
            await asyncio.sleep(1)
            await asyncio.to_thread(take, display, picture.with_name("script.png"), SCRIPTS_WINDOW)
        await asyncio.to_thread(click, display, CLOSE)
        await control.ask("TriggerHotkeyByName", hotkeyName="relens_preset_2")
        await until("after its hotkey preset 2 is in force again", room.back_is_painted)
        await control.ask("StopStream")
        await until("OBS ended its stream", room.waiting)
        await control.ask("StartStream")
        await until("OBS publishes again", room.live)
        await until("what it shows moves on, painted as before", room.back_moves)
        await control.ask("TriggerHotkeyByName", hotkeyName="relens_original")
        await until("without an edit both pictures are alike", room.alike)
        await control.ask("StopStream")


def on_screen(display: str, *command: str) -> None:
    subprocess.run(command, env={**os.environ, "DISPLAY": display}, check=True, timeout=60)


def click(display: str, at: tuple[int, int]) -> None:
    on_screen(display, "xdotool", "mousemove", *map(str, at), "click", "1")
    time.sleep(1)


def type_in_window(display: str) -> None:
    """Tools, Scripts, an instruction, Apply."""
    for at in (TOOLS, SCRIPTS, INSTRUCTION):
        click(display, at)
    on_screen(display, "xdotool", "type", "--delay", "30", TYPED)
    click(display, APPLY)


def take(display: str, picture: Path, part: str = "") -> None:
    """The whole screen or a part of it, in as many colours as its size allows."""
    crop = ("-crop", part) if part else ()
    on_screen(display, "import", "-silent", "-window", "root", *crop, "-depth", "8", f"png:{picture}")
    for colours in (256, 128, 64, 32):
        if picture.stat().st_size <= MOST_BYTES:
            break
        Image.open(picture).convert("RGB").quantize(colours).save(picture, optimize=True)
    print(f"ok    {picture}: {picture.stat().st_size} bytes")


async def settle(world: World) -> dict[str, str]:
    """relens is up, and its stream has the key and the presets of this run; what it says belongs into OBS."""
    async with aiohttp.ClientSession() as http:

        async def up() -> bool:
            try:
                body = {"key": KEY, "presets": PRESETS}
                async with http.put(f"{world.base}/streams/live/settings", json=body) as reply:
                    return reply.status == 200
            except aiohttp.ClientError:
                return False

        await until("relens is up", up)
        async with http.get(f"{world.base}/streams/live/setup") as reply:
            return dict(await reply.json())


def main(argv: list[str]) -> int:
    picture = Path(argv[0]).resolve() if argv else None
    with tempfile.TemporaryDirectory(prefix="relens-obs-") as scratch:
        world = World(Path(scratch), free_port(), free_port(), free_port())
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RELENS_")}
        serve = [
            sys.executable, "-m", "server", "serve", "--model", "nano", "--media", "cpu", "--data-dir",
            str(world.folder / "data"), "--port", str(world.http), "--rtmp-port", str(world.rtmp),
        ]  # fmt: skip
        obs = ["obs", "--multi", "--collection", "relens", "--profile", "relens", "--disable-updater"]
        try:
            with running("relens", serve, world.folder, environ), screen(world.folder) as display:
                write_profile(world, asyncio.run(settle(world)))
                own = {
                    **environ, "DISPLAY": display, "HOME": str(world.folder), "LIBGL_ALWAYS_SOFTWARE": "1",
                    "XDG_CONFIG_HOME": str(world.folder / "config"), "XDG_RUNTIME_DIR": str(world.folder),
                    "QT_QPA_PLATFORM": "xcb",
                }  # fmt: skip
                with running("obs", obs, world.folder, own):
                    asyncio.run(see(world, display, picture))
        except (Failed, TimeoutError) as error:
            print(f"failed: {error or 'no answer in time'}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
