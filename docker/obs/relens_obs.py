"""relens in OBS: type an instruction, press a button or a hotkey, and the live picture is edited.

What it needs: OBS 28 or later, a running relens, and a stream that OBS publishes to it. Nothing to install
beside Python, which OBS's script window asks for on Windows and macOS.

1. Publish. relens' page (Streams) shows what belongs into Settings -> Stream: for RTMP the server
   rtmp://HOST:1935/live and the stream key NAME?key=KEY, from OBS 30 on also WHIP. Set the keyframe interval
   (Settings -> Output) to 1 s or 2 s.
2. Show what comes back: a browser source on http://HOST:8080/watch/NAME, or a media source, not a local file,
   with the input rtmp://HOST:1935/live/NAME. Put it into another scene than the one that you publish, or into
   a projector: else it edits itself.
3. Load this file: Tools -> Scripts -> +. Fill in the address, the stream and its key. The key may publish and
   edit, and shows where the stream is pushed on to; a relens on this computer that has no operator_key takes
   edits without it.
4. Hotkeys: Settings -> Hotkeys has "relens: preset 1" to "relens: preset 9" and "relens: no edit (original)".
   The presets are the stream's own, set in relens; without any they are the first nine of its model.
5. A window to type in while live: Docks -> Custom Browser Docks, with http://HOST:8080/dock/NAME.

Requests run on a thread of their own with a time limit, so OBS never waits for the network. Of edits that
wait the newest is sent. What relens took an instruction for is shown in the script's window and in OBS's log.
Only the standard library is used; nothing is sent but to the address given here.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import deque
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import obspython as obs

PRESETS = 9
TIMEOUT_S = 3.0  # of one step of a request: connect, send, a part of the answer
ANSWER_S = 8.0  # of the whole answer
ANSWER_BYTES = 256 * 1024
GLANCE_S = 0.3  # a click waits so long for its answer, to show it at once; pictures and sound go on meanwhile
LEAVE_S = 1.0  # OBS waits so long for the thread when it removes the script
LOG_EVERY_MS = 200
SETTINGS = {"address": "http://127.0.0.1:8080", "stream": "live", "key": "", "prompt": "", "strength": 1.0}


class Place(NamedTuple):
    """The stream that is edited: of which relens, by which name, with which key."""

    address: str
    stream: str
    key: str

    @property
    def base(self) -> str:
        """As a URL without its path: "10.0.0.5:8080" will do for "http://10.0.0.5:8080/"."""
        address = self.address.strip()
        try:
            parts = urlsplit(address if "://" in address else f"http://{address}")
        except ValueError:  # "[::"
            return address
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        return f"/streams/{quote(self.stream.strip(), safe='')}"

    @property
    def dock(self) -> str:
        return f"{self.base}/dock/{quote(self.stream.strip(), safe='')}"


class Edit(NamedTuple):
    """What is asked for, and how to call it to people."""

    body: dict[str, Any]
    words: str


class Link:
    """Asks relens on a thread of its own. Knows no OBS; every other method may be called from any thread.

    At most one edit and one look at the presets wait: a newer edit replaces the one that waits."""

    def __init__(self) -> None:
        self.place = Place("", "", "")
        self.presets: list[str] = []  # their names, in the order of their numbers
        self.reached = "Not connected yet."
        self.said = "Nothing was asked yet."
        self._news: deque[str] = deque(maxlen=50)  # for OBS's log
        self._edit: Edit | None = None
        self._looks = False
        self._open: http.client.HTTPConnection | None = None
        self._busy = self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="relens", daemon=True)
        self._thread.start()

    def ask(self, edit: Edit) -> None:
        """Send it as soon as the one under way is answered."""
        with self._changed:
            self._edit = edit
            self.said = f"Asking for {edit.words} ..."
            self._changed.notify_all()

    def look(self) -> None:
        """Read the presets of the stream."""
        with self._changed:
            self._looks = True
            self._changed.notify_all()

    def settle(self, seconds: float) -> bool:
        """Whether nothing waits for an answer any more, within `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._edit or self._looks or self._busy), seconds)

    def news(self) -> list[str]:
        """What happened since the last call, for the log."""
        with self._changed:
            lines = list(self._news)
            self._news.clear()
            return lines

    def close(self) -> None:
        """End the thread; an answer that is under way is not waited for."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            if self._open is not None and self._open.sock is not None:
                with contextlib.suppress(OSError):
                    self._open.sock.shutdown(2)
        self._thread.join(LEAVE_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._edit or self._looks or self._closing)
                if self._closing:
                    return
                self._busy, edit, self._edit = True, self._edit, None
                if edit is None:
                    self._looks = False
                place = self.place
            if edit is None:
                self._look_at(place)
            else:
                self._send(place, edit)

    def _send(self, place: Place, edit: Edit) -> None:
        try:
            line = f"{edit.words}: {told(self._request(place, 'PUT', '/edit', edit.body))}"
        except Trouble as trouble:
            line = f"{edit.words}: {trouble}"
        with self._changed:
            self.said = line
            self._news.append(line)

    def _look_at(self, place: Place) -> None:
        names: list[str] = []
        try:
            listed = self._request(place, "GET", "/presets").get("presets")
            if isinstance(listed, list):
                names = [str(one.get("name", "")) for one in listed if isinstance(one, dict)][:PRESETS]
            line = f"Connected to {place.base}, stream {place.stream}: {len(names)} presets."
        except Trouble as trouble:
            line = str(trouble)
        with self._changed:
            if line != self.reached:
                self._news.append(line)
            self.presets, self.reached = names, line

    def _request(
        self, place: Place, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """What relens answers. Raises Trouble, in words for people."""
        key = place.key.strip()
        if not (key.isascii() and key.isprintable()):
            raise Trouble("The key holds characters that no key of relens has: copy it again.")
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        connection = None
        try:
            parts = urlsplit(place.base)
            if parts.scheme not in ("http", "https") or not parts.hostname or not place.stream.strip():
                raise Trouble("Fill in the address of relens (http://host:8080) and the stream's name.")
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
            with self._changed:
                self._open = connection
                if self._closing:
                    raise Trouble("OBS removed the script.")
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, place.path + path, data, headers)
            return read(connection.getresponse())
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise Trouble(f"relens does not answer at {place.base}: {reason}. Does it run there?") from error
        finally:
            with self._changed:
                self._open = None
            if connection is not None:
                connection.close()


class Trouble(Exception):
    """Why something was not done, in words for people."""


def read(response: http.client.HTTPResponse) -> dict[str, Any]:
    """The answer as JSON. Raises Trouble with what relens refuses it for; OSError."""
    data, until_s = b"", time.monotonic() + ANSWER_S
    while part := response.read1(16384):
        data += part
        if len(data) > ANSWER_BYTES or time.monotonic() > until_s:
            raise Trouble("What answers there is no relens: its answer does not end. Look at the address.")
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Trouble(f"What answers there is no relens ({response.status}). Look at the address.")
    if response.status >= 400:
        parts = [answer.get("title"), answer.get("detail"), answer.get("remedy")]
        said = ". ".join(str(part) for part in parts if part)
        raise Trouble(f"relens refused ({response.status}): {said}")
    return answer


def told(receipt: dict[str, Any]) -> str:
    """What relens took an instruction for."""
    if not receipt.get("understood"):
        near = listed(receipt.get("nearest"))
        return "not understood, the picture stays as it is" + (f"; near are: {near}" if near else "")
    left_out = listed(receipt.get("leftOut"))
    return f"taken as {receipt.get('label') or 'no edit'}" + (f"; not done: {left_out}" if left_out else "")


def listed(words: object) -> str:
    return ", ".join(map(str, words)) if isinstance(words, list) else ""


# What OBS calls. Its callbacks must be plain functions, and only these and the timer may call OBS.

ORIGINAL = Edit({"prompt": ""}, "no edit")
link: Link | None = None
typed: dict[str, Any] = dict(SETTINGS)
hotkeys: dict[str, int] = {}


def preset(number: int) -> Edit:
    return Edit({"preset": number}, f"preset {number}")


def script_description() -> str:
    return "<b>relens</b>: edit the live picture by instruction. How: the top of this file."


def script_defaults(settings: Any) -> None:
    for name, value in SETTINGS.items():
        if isinstance(value, float):
            obs.obs_data_set_default_double(settings, name, value)
        else:
            obs.obs_data_set_default_string(settings, name, value)


def script_load(settings: Any) -> None:
    global link
    link = Link()
    script_update(settings)
    link.look()
    edits = {f"relens_preset_{n}": (f"relens: preset {n}", preset(n)) for n in range(1, PRESETS + 1)}
    edits["relens_original"] = ("relens: no edit (original)", ORIGINAL)
    for name, (words, edit) in edits.items():
        hotkeys[name] = obs.obs_hotkey_register_frontend(name, words, on_key(edit))
        keys = obs.obs_data_get_array(settings, name)
        obs.obs_hotkey_load(hotkeys[name], keys)
        obs.obs_data_array_release(keys)
    obs.timer_add(write_news, LOG_EVERY_MS)


def script_save(settings: Any) -> None:
    for name, hotkey in hotkeys.items():
        keys = obs.obs_hotkey_save(hotkey)
        obs.obs_data_set_array(settings, name, keys)
        obs.obs_data_array_release(keys)


def script_update(settings: Any) -> None:
    for name, value in SETTINGS.items():
        is_number = isinstance(value, float)
        typed[name] = (obs.obs_data_get_double if is_number else obs.obs_data_get_string)(settings, name)
    if link is not None:
        link.place = Place(typed["address"], typed["stream"], typed["key"])


def script_unload() -> None:
    global link
    hotkeys.clear()  # OBS itself unregisters what a script registered
    if link is not None:
        link.close()
        link = None


def script_properties() -> Any:
    made = obs.obs_properties_create()
    obs.obs_properties_add_text(made, "prompt", "Instruction", obs.OBS_TEXT_DEFAULT)
    obs.obs_properties_add_float_slider(made, "strength", "Strength", 0.0, 1.0, 0.05)
    obs.obs_properties_add_button(made, "apply", "Apply", on_apply)
    obs.obs_properties_add_text(made, "result", "", obs.OBS_TEXT_INFO)
    obs.obs_properties_add_button(made, "original", "No edit (original)", on_click(ORIGINAL))
    for number in range(1, PRESETS + 1):
        obs.obs_properties_add_button(made, f"preset_{number}", f"{number}", on_click(preset(number)))
    obs.obs_properties_add_text(made, "address", "relens", obs.OBS_TEXT_DEFAULT)
    obs.obs_properties_add_text(made, "stream", "Stream", obs.OBS_TEXT_DEFAULT)
    obs.obs_properties_add_text(made, "key", "Key", obs.OBS_TEXT_PASSWORD)
    obs.obs_properties_add_button(made, "look", "Connect, load the presets", on_look)
    obs.obs_properties_add_text(made, "reached", "", obs.OBS_TEXT_INFO)
    obs.obs_properties_add_text(made, "dock", "", obs.OBS_TEXT_INFO)
    on_look(made, None)
    return made


def on_look(shown: Any, _: Any) -> bool:
    if link is not None:
        link.look()
    return dress(shown)


def on_apply(shown: Any, _: Any) -> bool:
    words = typed["prompt"].strip()
    edit = Edit({"prompt": words, "strength": typed["strength"]}, f"“{words}”") if words else ORIGINAL
    return on_click(edit)(shown, None)


def on_click(edit: Edit) -> Any:
    def clicked(shown: Any, _: Any) -> bool:
        if link is not None:
            link.ask(edit)
        return dress(shown)

    return clicked


def on_key(edit: Edit) -> Any:
    def pressed(down: bool) -> None:
        if down and link is not None:
            link.ask(edit)

    return pressed


def dress(shown: Any) -> bool:
    """Presets as the stream has them, and what was said last, into the window; True: OBS draws it again."""
    if link is None:
        return False
    link.settle(GLANCE_S)
    names = link.presets
    for number in range(1, PRESETS + 1):
        button = obs.obs_properties_get(shown, f"preset_{number}")
        known = number <= len(names)
        obs.obs_property_set_description(button, f"{number}: {names[number - 1]}" if known else f"{number}")
        obs.obs_property_set_visible(button, known)
    obs.obs_property_set_description(obs.obs_properties_get(shown, "reached"), link.reached)
    obs.obs_property_set_description(obs.obs_properties_get(shown, "result"), link.said)
    hint = f"To type while live: Docks, Custom Browser Docks, {link.place.dock}"
    obs.obs_property_set_description(obs.obs_properties_get(shown, "dock"), hint)
    return True


def write_news() -> None:
    """OBS's timer: what happened on the thread, into OBS's log."""
    if link is not None:
        for line in link.news():
            obs.script_log(obs.LOG_INFO, line)
