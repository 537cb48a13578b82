"""Video mode as a person uses it: a film is brought, seen edited from any place, rendered, taken home."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from chromium_start import Opener
from live_page import DEADLINE_MS, LivePage
from live_server import Served
from playwright.sync_api import CDPSession, Page, expect

WIDTH, HEIGHT, FPS = 160, 96, 12
HALF = 36  # frames: three seconds of light, then three of dark
BLACK_AND_WHITE = "make it black and white"
RENDER_MS = 150_000  # of 72 frames, on a machine that is busy with something else


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("kept")
    served = Served("--model", "nano", "--drain-s", "0", "--data-dir", str(data))
    served.start()
    yield served
    assert served.stop() == 0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Orange, then dark blue, with sound."""
    path = tmp_path_factory.mktemp("film") / "two halves.mp4"
    with av.open(path, "w") as out:
        video = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=48_000, layout="mono")
        for n in range(2 * HALF):
            rgb = np.full((HEIGHT, WIDTH, 3), (230, 150, 60) if n < HALF else (20, 30, 90), np.uint8)
            rgb[30:60, n : n + 30] = (200, 30, 40)
            out.mux(video.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        seconds = 2 * HALF / FPS
        tone = np.sin(np.arange(int(48_000 * seconds)) * 0.05).astype(np.float32)
        for at in range(0, len(tone), 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, at : at + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = 48_000, at
            out.mux(audio.encode(frame))
        out.mux(video.encode())
        out.mux(audio.encode())
    return path


def use_video(page: LivePage) -> None:
    page.it("source-file").click()
    expect(page.it("deck")).to_be_visible(timeout=DEADLINE_MS)


def bring(page: LivePage, path: Path) -> None:
    """Uploads a film and waits until it plays."""
    page.open()
    use_video(page)
    page.it("choose-input").set_input_files(path)
    expect(page.it("scrubber")).to_be_visible(timeout=DEADLINE_MS)
    page.sees_picture(3)


def seek(page: LivePage, key: str) -> None:
    page.it("scrubber").focus()
    page.page.keyboard.press(key)


def at_place(page: LivePage, least: int, most: int) -> None:
    page.wait(
        """([least, most]) => {
          const slider = document.querySelector('[data-testid="scrubber"]');
          const at = Number(slider.getAttribute("aria-valuenow"));
          return at >= least && at <= most;
        }""",
        [least, most],
    )


def luma_until(page: LivePage, dark: bool) -> None:
    """Waits until the edited picture is of the dark half, or of the light one."""
    for _ in range(40):
        if (page.shot().luma < 80) == dark:
            return
    raise AssertionError(f"the picture did not become {'dark' if dark else 'light'}")


def test_from_upload_to_download(server: Served, open_page: Opener, film: Path, tmp_path: Path) -> None:
    page = open_page(server.base, accept_downloads=True)
    bring(page, film)
    luma_until(page, dark=False)
    expect(page.it("stage")).not_to_have_attribute("data-view", "edit")  # its file is here: the source side
    page.it("film-play").click()
    expect(page.it("film-play")).to_have_attribute("aria-label", "Play")

    # Anywhere in it, and by the keyboard.
    seek(page, "End")
    luma_until(page, dark=True)
    seek(page, "Home")
    at_place(page, 0, 0)
    luma_until(page, dark=False)

    # An instruction changes the picture that stands.
    assert page.shot().colour > 30
    page.type_instruction(BLACK_AND_WHITE)
    for _ in range(40):
        if page.shot().colour < 8:
            break
    assert page.shot().colour < 8

    # What is elsewhere, at the pointer.
    page.it("scrubber").hover()
    expect(page.it("scrub-picture")).to_be_visible(timeout=DEADLINE_MS)

    page.it("render-all").click()
    job = page.it("job").first
    expect(job).to_be_visible(timeout=DEADLINE_MS)
    page.it("job-watch").click(timeout=RENDER_MS)  # there as soon as something is rendered
    expect(page.it("rendered-range").first).to_be_attached()
    expect(page.it("fps")).to_have_text("\u2013")  # a file is played, nothing is measured
    page.wait(
        """() => {
          const video = document.querySelector('[data-testid="rendered-video"]');
          return video && video.videoWidth > 0 && video.currentTime > 0.3;
        }""",
        timeout_ms=RENDER_MS,
    )
    page.it("rendered-back").click()
    expect(page.it("rendered-video")).to_have_count(0)

    expect(job).to_have_attribute("data-state", "DONE", timeout=RENDER_MS)
    with page.page.expect_download(timeout=DEADLINE_MS) as download:
        page.it("job-download").click()
    assert download.value.suggested_filename == "two halves edited.mp4"
    kept = tmp_path / "edited.mp4"
    download.value.save_as(kept)
    with av.open(kept) as edited:
        assert len(edited.streams.audio) == 1
        pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in edited.decode(video=0)]
    assert len(pictures) == 2 * HALF
    for picture in (pictures[HALF // 2], pictures[-1]):
        assert (picture.max(axis=2) - picture.min(axis=2)).mean() < 8

    # All of it is there after a reload, but for the file: there is only the edit to see, and that is said.
    page.page.reload(wait_until="load", timeout=DEADLINE_MS)
    expect(page.it("job").first).to_have_attribute("data-state", "DONE", timeout=DEADLINE_MS)
    page.sees_picture(3)
    expect(page.it("source-absent")).to_be_visible()
    expect(page.it("stage")).to_have_attribute("data-view", "edit")

    # Back to a live source: nothing of the film is left.
    page.it("source-sample").click()
    page.sees_picture()
    expect(page.it("deck")).to_have_count(0)
    assert "video=" not in page.page.url


def test_edits_are_rendered_where_they_were_made(server: Served, open_page: Opener, film: Path) -> None:
    page = open_page(server.base)
    bring(page, film)
    page.it("film-play").click()
    seek(page, "Home")
    at_place(page, 0, 0)
    page.type_instruction("sepia tones")
    seek(page, "ArrowRight")
    at_place(page, 5, 5)
    page.type_instruction(BLACK_AND_WHITE)
    page.it("render-what").select_option("timeline")
    with page.page.expect_response("**/edit-video") as asked:
        page.it("render-all").click()
    assert asked.value.status == 202
    edits = asked.value.request.post_data_json["timeline"]["edits"]
    assert [edit["prompt"] for edit in edits] == ["sepia tones", BLACK_AND_WHITE]
    assert edits[0]["at"] == 0
    assert edits[1]["at"] == pytest.approx(5, abs=0.3)
    with page.page.expect_response("**/edit-video") as again:
        page.it("render-all").click()  # the same while it waits or runs is the same job
    assert again.value.request.headers["idempotency-key"] == asked.value.request.headers["idempotency-key"]
    assert again.value.json()["job_id"] == asked.value.json()["job_id"]
    expect(page.it("job").filter(has_text="sepia")).to_have_count(1)
    page.it("job-cancel").first.click()
    expect(page.it("job").first).to_have_attribute("data-state", "CANCELLED", timeout=DEADLINE_MS)
    expect(page.it("job-retry").first).to_be_visible()
    page.it("job-forget").first.click()
    expect(page.it("job").filter(has_text="sepia")).to_have_count(0, timeout=DEADLINE_MS)


def test_a_stopped_film_is_not_called_slow(server: Served, open_page: Opener, film: Path) -> None:
    page = open_page(server.base)
    bring(page, film)
    page.page.evaluate(
        "() => { window.said = []; window.relens.client.on('degraded', (event) => window.said.push(event)); }"
    )
    seek(page, "End")  # where it stands by itself
    page.page.wait_for_timeout(9_000)  # lively at first, then a picture every other second
    assert [
        each for each in page.page.evaluate("() => window.said") if each["message"].startswith("0 ")
    ] == []


def padded(film: Path, path: Path, count: int) -> Path:
    """The same film with a box of bytes behind it that means nothing: long to upload."""
    path.write_bytes(film.read_bytes() + struct.pack(">I4s", count + 8, b"free") + os.urandom(count))
    return path


def slow_upload(page: Page, bytes_per_s: int) -> CDPSession:
    """Until what it returns is detached."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s},
    )
    return session


def test_an_upload_goes_on_where_it_was(
    server: Served, open_page: Opener, film: Path, tmp_path: Path
) -> None:
    """After a pause; and after the page was closed, when the same file is chosen again."""
    long = padded(film, tmp_path / "long.mp4", 6_000_000)
    first = open_page(server.base)
    first.open()
    use_video(first)
    slow_upload(first.page, 1_000_000)
    first.it("choose-input").set_input_files(long)
    half_way = """() => document.querySelector('[data-testid="upload"] progress')?.value > 0.25"""
    first.wait(half_way)
    expect(first.it("upload")).to_contain_text("MB/s")
    first.it("upload-pause").click()
    expect(first.it("upload")).to_have_attribute("data-state", "paused")
    first.it("upload-resume").click()
    expect(first.it("upload")).to_have_attribute("data-state", "running")
    first.wait("""() => document.querySelector('[data-testid="upload"] progress')?.value > 0.4""")
    first.page.goto("about:blank")

    second = LivePage(first.page.context.new_page(), server.base)
    second.open()
    offsets: list[int] = []
    second.page.on(
        "request",
        lambda request: (
            request.method == "PATCH"
            and "/files/" in request.url
            and offsets.append(int(request.headers["upload-offset"]))
        ),
    )
    use_video(second)
    second.it("choose-input").set_input_files(long)
    expect(second.it("scrubber")).to_be_visible(timeout=DEADLINE_MS)
    assert offsets
    assert offsets[0] > 500_000
    assert not second.errors


def test_an_upload_waits_for_a_server_that_is_away(open_page: Opener, film: Path, tmp_path: Path) -> None:
    served = Served("--model", "nano", "--drain-s", "0", "--data-dir", str(tmp_path / "data"))
    served.start()
    try:
        page = open_page(served.base)
        page.open()
        use_video(page)
        slow = slow_upload(page.page, 1_000_000)
        page.it("choose-input").set_input_files(padded(film, tmp_path / "cut off.mp4", 6_000_000))
        page.wait("""() => document.querySelector('[data-testid="upload"] progress')?.value > 0.2""")
        served.stop(signal.SIGKILL)
        expect(page.it("upload")).to_have_attribute("data-state", "waiting", timeout=DEADLINE_MS)
        expect(page.it("upload")).to_contain_text("by itself")
        slow.detach()  # what is left of it need not take long
        served.start()
        expect(page.it("scrubber")).to_be_visible(timeout=60_000)
    finally:
        served.stop()


def test_what_is_no_video_is_refused_in_a_sentence(server: Served, open_page: Opener, tmp_path: Path) -> None:
    page = open_page(server.base)
    page.open()
    use_video(page)
    (tmp_path / "letter.mp4").write_bytes(b"Dear all, this is no film. " * 400)
    page.it("choose-input").set_input_files(tmp_path / "letter.mp4")
    upload = page.it("upload")
    expect(upload).to_have_attribute("data-state", "refused", timeout=DEADLINE_MS)
    expect(upload).to_contain_text("did not take it")
    expect(page.it("film").filter(has_text="letter")).to_have_count(0)  # one file is one line
    page.page.reload(wait_until="load", timeout=DEADLINE_MS)
    row = page.it("film").filter(has_text="letter")
    expect(row).to_have_attribute("data-state", "refused", timeout=DEADLINE_MS)
    name, said = row.locator(".film-name"), row.locator(".film-said")
    assert (name.bounding_box() or {"width": 0})["width"] > 60, "the long reason leaves the name its room"
    expect(said).to_contain_text("it begins with the text “Dear all”")
    page.page.on("dialog", lambda dialog: dialog.accept())
    row.get_by_test_id("film-delete").click()
    expect(row).to_have_count(0, timeout=DEADLINE_MS)

    page.it("choose-input").set_input_files(tmp_path / "letter.mp4")
    expect(upload).to_have_attribute("data-state", "refused", timeout=DEADLINE_MS)
    with page.page.expect_response(lambda reply: reply.request.method == "DELETE"):
        page.it("upload-cancel").click()  # what was refused goes with its line
    expect(upload).to_have_count(0)
    expect(row).to_have_count(0)


def test_an_address_of_no_video_is_told(server: Served, open_page: Opener) -> None:
    page = open_page(server.base)
    page.open("?video=nonsense")
    expect(page.it("video-problem")).to_contain_text("no such video here any more", timeout=DEADLINE_MS)
    page.wait("() => !location.search.includes('nonsense')")
    expect(page.it("pending")).to_have_count(0)


def test_back_and_forward_go_through_what_was_on_the_stage(
    server: Served, open_page: Opener, film: Path
) -> None:
    page = open_page(server.base)
    page.open("?prompt=")
    page.sees_picture(3)
    use_video(page)
    page.wait("() => new URLSearchParams(location.search).get('video') === ''")
    page.it("choose-input").set_input_files(film)
    expect(page.it("scrubber")).to_be_visible(timeout=DEADLINE_MS)
    page.wait("() => new URLSearchParams(location.search).get('video')")
    address = page.page.url
    page.it("source-streams").click()
    page.wait("() => location.search.includes('stream=')")
    assert "video=" not in page.page.url

    page.page.go_back()
    expect(page.it("scrubber")).to_be_visible(timeout=DEADLINE_MS)
    assert page.page.url == address
    page.sees_picture(3)
    page.page.go_back()
    expect(page.it("drop")).to_be_visible(timeout=DEADLINE_MS)
    page.page.go_back()
    page.sees_picture(3)
    expect(page.it("source-sample")).to_have_attribute("aria-pressed", "true")
    page.page.go_forward()
    expect(page.it("drop")).to_be_visible(timeout=DEADLINE_MS)
    page.page.go_forward()
    expect(page.it("scrubber")).to_be_visible(timeout=DEADLINE_MS)
    assert page.page.url == address


def test_a_server_that_keeps_nothing_says_so(open_page: Opener) -> None:
    served = Served("--model", "nano", "--drain-s", "0", "--data-dir", "/proc/none")
    served.start()
    try:
        page = open_page(served.base)
        page.open("?prompt=")
        page.sees_picture()
        page.it("source-file").click()
        expect(page.it("video-problem")).to_contain_text("cannot be written", timeout=DEADLINE_MS)
        page.it("source-sample").click()  # what keeps nothing goes on
        page.sees_picture()
        expect(page.it("video-problem")).to_have_count(0)
    finally:
        served.stop()


@pytest.mark.parametrize(
    ("name", "width", "height", "phone"), [("desktop", 1280, 800, False), ("phone", 360, 740, True)]
)
def test_screenshots(
    server: Served, open_page: Opener, film: Path, shots: Path,
    name: str, width: int, height: int, phone: bool,
) -> None:  # fmt: skip
    page = open_page(
        server.base, viewport={"width": width, "height": height}, is_mobile=phone, has_touch=phone
    )
    bring(page, film)
    page.it("shelf-switch").click()
    page.page.screenshot(path=str(shots / f"video-{name}.png"))
    overflow = page.page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0, f"{name}: the page is {overflow} px wider than the screen"
    box = page.it("scrubber").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= height, "the scrubber is in view without scrolling"
