"""What a fresh OBS finds in its folder for `.ci/obs`: a profile, scenes, the relens script."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docker" / "obs" / "relens_obs.py"
KEY = "key-of-this-run"
WIDTH, HEIGHT, FPS = 640, 360, 24
CLIP, BACK = "clip", "relens"  # the sources
SOURCE_SCENE, EDITED_SCENE = "Camera", "Edited by relens"
HOTKEY = "F7"  # bound to "relens: preset 2"


@dataclass(frozen=True)
class World:
    """Where everything of this run is."""

    folder: Path
    http: int
    rtmp: int
    control: int  # obs-websocket

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.http}"


def write_profile(world: World, setup: dict[str, str]) -> None:
    """Into `world.folder`/config. `setup`: what relens says belongs into OBS."""
    root = world.folder / "config" / "obs-studio"
    profile, scenes = root / "basic" / "profiles" / "relens", root / "basic" / "scenes"
    for folder in (profile, scenes, root / "plugin_config"):
        folder.mkdir(parents=True)
    (root / "global.ini").write_text(
        ini(
            General={"FirstRun": "true", "LastVersion": 29 << 24 | 2, "EnableAutoUpdates": "false",
                     "ConfirmOnExit": "false", "CurrentTheme": "Yami"},
            Basic={"Profile": "relens", "ProfileDir": "relens", "SceneCollection": "relens",
                   "SceneCollectionFile": "relens", "ConfigOnNewProfile": "false"},
            BasicWindow={"PreviewProgramMode": "true", "VerticalVolControl": "false"},
            OBSWebSocket={"FirstLoad": "false", "ServerEnabled": "true", "ServerPort": world.control,
                          "AuthRequired": "false", "AlertsEnabled": "false"},
        )
    )  # fmt: skip
    (profile / "basic.ini").write_text(
        ini(
            General={"Name": "relens"},
            Output={"Mode": "Simple", "Reconnect": "true", "RetryDelay": 1},
            SimpleOutput={"VBitrate": 1500, "ABitrate": 128, "StreamEncoder": "x264", "Preset": "ultrafast",
                          "UseAdvanced": "true", "x264Settings": f"keyint={FPS} bframes=0"},
            Video={"BaseCX": WIDTH, "BaseCY": HEIGHT, "OutputCX": WIDTH, "OutputCY": HEIGHT, "FPSType": 1,
                   "FPSInt": FPS},
            Audio={"SampleRate": 48000, "ChannelSetup": "Stereo"},
        )
    )  # fmt: skip
    service = {"server": setup["rtmpServer"], "key": setup["rtmpKey"], "use_auth": False}
    (profile / "service.json").write_text(json.dumps({"type": "rtmp_custom", "settings": service}))
    clip = {"local_file": str(ROOT / "web/public/sample.mp4"), "looping": True, "restart_on_activate": False}
    back = {
        "is_local_file": False, "input": setup["rtmpPlayUrl"], "reconnect_delay_sec": 1, "buffering_mb": 0,
        "restart_on_activate": False, "hw_decode": False,
    }  # fmt: skip
    script = {
        "address": world.base, "stream": "live", "key": KEY,
        "relens_preset_2": [{"key": f"OBS_KEY_{HOTKEY}"}],
    }  # fmt: skip
    collection = {
        "name": "relens",
        "current_scene": SOURCE_SCENE,
        "current_program_scene": SOURCE_SCENE,
        "scene_order": [{"name": SOURCE_SCENE}, {"name": EDITED_SCENE}],
        "sources": [
            media(CLIP, clip), media(BACK, back),
            scene(SOURCE_SCENE, CLIP), scene(EDITED_SCENE, BACK),
        ],
        "modules": {"scripts-tool": [{"path": str(SCRIPT), "settings": script}]},
    }  # fmt: skip
    (scenes / "relens.json").write_text(json.dumps(collection, indent=1))


def ini(**sections: dict[str, Any]) -> str:
    lines: list[str] = []
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key}={value}" for key, value in values.items()), ""]
    return "\n".join(lines)


def media(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {"id": "ffmpeg_source", "versioned_id": "ffmpeg_source", "name": name, "settings": settings}


def scene(name: str, source: str) -> dict[str, Any]:
    """`source` fills it."""
    item = {
        "name": source, "id": 1, "visible": True, "pos": {"x": 0.0, "y": 0.0}, "scale": {"x": 1.0, "y": 1.0},
        "bounds_type": 2, "bounds": {"x": float(WIDTH), "y": float(HEIGHT)}, "bounds_align": 0, "align": 5,
    }  # fmt: skip
    return {"id": "scene", "name": name, "settings": {"id_counter": 1, "items": [item]}}
