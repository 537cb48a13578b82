"""The part of OBS's Python module that docker/obs/relens_obs.py calls, as a module, and its clicks and keys.

As strict as OBS: callbacks are plain functions, every object that is taken is given back.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

SCRIPT = Path(__file__).parents[2] / "docker" / "obs" / "relens_obs.py"


@dataclass(eq=False)
class Property:
    kind: str
    text: str
    visible: bool = True
    callback: Any = None


class Obs(ModuleType):
    """One OBS with one script."""

    LOG_INFO = 300
    OBS_TEXT_DEFAULT, OBS_TEXT_PASSWORD, OBS_TEXT_MULTILINE, OBS_TEXT_INFO = range(4)

    def __init__(self) -> None:
        super().__init__("obspython")
        self.settings: dict[str, Any] = {}
        self.defaults: dict[str, Any] = {}
        self.hotkeys: dict[str, tuple[int, str, Any]] = {}  # by name: id, description, callback
        self.bound: dict[int, Any] = {}
        self.held = 0  # arrays taken and not given back
        self.timers: list[Any] = []
        self.log: list[str] = []

    # -- settings

    def obs_data_set_default_string(self, data: Any, name: str, value: str) -> None:
        self.defaults[name] = value

    obs_data_set_default_double = obs_data_set_default_string

    def obs_data_get_string(self, data: Any, name: str) -> str:
        return str(data.get(name, self.defaults.get(name, "")))

    def obs_data_get_double(self, data: Any, name: str) -> float:
        return float(data.get(name, self.defaults.get(name, 0.0)))

    def obs_data_get_array(self, data: Any, name: str) -> Any:
        self.held += 1
        return data.get(name)

    def obs_data_set_array(self, data: Any, name: str, array: Any) -> None:
        data[name] = array

    def obs_data_array_release(self, array: Any) -> None:
        self.held -= 1

    # -- hotkeys, timers, log

    def obs_hotkey_register_frontend(self, name: str, words: str, callback: Any) -> int:
        assert isinstance(callback, types.FunctionType)
        self.hotkeys[name] = (len(self.hotkeys), words, callback)
        return self.hotkeys[name][0]

    def obs_hotkey_load(self, hotkey: int, array: Any) -> None:
        self.bound[hotkey] = array

    def obs_hotkey_save(self, hotkey: int) -> Any:
        self.held += 1
        return self.bound[hotkey]

    def timer_add(self, callback: Any, ms: int) -> None:
        assert isinstance(callback, types.FunctionType)
        self.timers.append(callback)

    def script_log(self, level: int, line: str) -> None:
        self.log.append(line)

    # -- properties

    def obs_properties_create(self) -> dict[str, Property]:
        return {}

    def obs_properties_add_text(self, shown: Any, name: str, text: str, kind: int) -> None:
        shown[name] = Property(f"text {kind}", text)

    def obs_properties_add_float_slider(
        self, shown: Any, name: str, text: str, low: float, high: float, step: float
    ) -> None:
        shown[name] = Property("slider", text)

    def obs_properties_add_button(self, shown: Any, name: str, text: str, callback: Any) -> None:
        assert isinstance(callback, types.FunctionType)
        shown[name] = Property("button", text, True, callback)

    def obs_properties_get(self, shown: Any, name: str) -> Property:
        return shown[name]

    def obs_property_set_description(self, found: Property, text: str) -> None:
        found.text = text

    def obs_property_set_visible(self, found: Property, visible: bool) -> None:
        found.visible = visible


@dataclass
class Loaded:
    """The script in its OBS, and what a person does there."""

    obs: Obs
    script: Any
    shown: dict[str, Property] = field(default_factory=dict)

    def set(self, **settings: Any) -> None:
        self.obs.settings.update(settings)
        self.script.script_update(self.obs.settings)

    def open(self) -> None:
        """Its window."""
        self.shown = self.script.script_properties()

    def click(self, name: str) -> None:
        assert self.shown[name].visible
        assert self.shown[name].callback(self.shown, self.shown[name]) is True

    def press(self, hotkey: str) -> None:
        for down in (True, False):
            self.obs.hotkeys[hotkey][2](down)

    def tick(self) -> list[str]:
        for timer in self.obs.timers:
            timer()
        return self.obs.log


@contextmanager
def loaded(**settings: Any) -> Iterator[Loaded]:
    """As OBS loads it, with what it kept of its settings, and unloads it."""
    obs = Obs()
    obs.settings.update(settings)
    before = sys.modules.get("obspython")
    sys.modules["obspython"] = obs
    try:
        spec = importlib.util.spec_from_file_location("relens_obs", SCRIPT)
        assert spec is not None
        assert spec.loader is not None
        script = importlib.util.module_from_spec(spec)
        sys.modules["relens_obs"] = script
        spec.loader.exec_module(script)
        script.script_defaults(obs.settings)
        script.script_load(obs.settings)
        try:
            yield Loaded(obs, script)
        finally:
            script.script_unload()
    finally:
        sys.modules.pop("relens_obs", None)
        sys.modules.pop("obspython", None)
        if before is not None:
            sys.modules["obspython"] = before
