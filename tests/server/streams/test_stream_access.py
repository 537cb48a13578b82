"""Who may do what with streams, and who is not heard for a while."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from server.config import Config
from server.errors import NoKey, TooMany
from server.streams import guesses
from server.streams.access import Access, token_of
from server.streams.guesses import MOST_WRONG, MOST_WRONG_IN_ALL, WINDOW_S
from server.streams.sight import Sight
from server.streams.stream import Stream
from server.streams.types import StreamSettings

KEY, VIEW_KEY, OPERATOR_KEY = "publishing-key", "watching-key", "of-the-operator"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(guesses, "time", made)
    return made


def ask(remote: str = "198.51.100.7", path: str = "/streams", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", path, {"Host": "localhost:8080", **named}).clone(remote=remote)


def bearer(key: str) -> str:
    return f"Bearer {key}"


def stream(view_key: str = "", name: str = "live") -> Stream:
    made = object.__new__(Stream)  # its name and settings are all that is looked at
    made.name = name
    made.settings = StreamSettings(key=KEY, view_key=view_key)
    return made


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_without_a_key_this_machine_is_the_operator(remote: str) -> None:
    Access(Config()).operator(ask(remote))
    assert Access(Config()).sight(ask(remote), stream(VIEW_KEY)) == "operator"


@pytest.mark.parametrize(
    ("remote", "headers"),
    [
        ("192.168.1.2", {}),
        ("::ffff:192.168.1.2", {}),
        ("2001:db8::1", {}),
        ("", {}),
        ("unix", {}),
        ("127.0.0.1", {"X_Forwarded_For": "127.0.0.1"}),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}),
        ("127.0.0.1", {"Origin": "https://elsewhere.example"}),
        ("127.0.0.1", {"Origin": "null"}),
        ("127.0.0.1", {"Via": "1.1 proxy"}),
        ("127.0.0.1", {"X_Real_IP": "192.168.1.2"}),
        ("127.0.0.1", {"X_Forwarded_Proto": "https"}),
        ("127.0.0.1", {"Host": "relens.example"}),
        ("127.0.0.1", {"Host": "rebound.example:8080", "Origin": "http://rebound.example:8080"}),
        ("127.0.0.1", {"Host": "192.168.1.1:8080"}),
        ("127.0.0.1", {"Host": "["}),
        ("127.0.0.1", {"Host": ""}),
        ("127.0.0.1", {"Origin": "http://["}),
        ("192.168.1.2", {"Authorization": "Bearer "}),
    ],
)
def test_without_a_key_nobody_else_is(remote: str, headers: dict[str, str]) -> None:
    with pytest.raises(NoKey, match="set operator_key") as refused:
        Access(Config()).operator(ask(remote, **headers))
    assert refused.value.challenge is False
    assert Access(Config()).sight(ask(remote, **headers), stream()) == "viewer"
    assert Access(Config()).sight(ask(remote, **headers), stream(VIEW_KEY)) == "stranger"


@pytest.mark.parametrize("host", ["localhost:8080", "localhost", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"])
def test_the_page_of_this_server_is_no_other_site(host: str) -> None:
    Access(Config()).operator(ask("127.0.0.1", Host=host, Origin=f"http://{host}"))


def test_a_name_that_is_allowed_is_no_other_sites() -> None:
    access = Access(Config(allowed_origins=("http://relens.example:8080", "*")))
    access.operator(ask("127.0.0.1", Host="relens.example:8080"))
    with pytest.raises(NoKey):
        access.operator(ask("127.0.0.1", Host="rebound.example:8080"))


def test_with_a_key_it_alone_counts() -> None:
    access = Access(Config(operator_key=OPERATOR_KEY))
    access.operator(ask("203.0.113.9", Authorization=bearer(OPERATOR_KEY), X_Forwarded_For="10.0.0.1"))
    for headers in ({}, {"Authorization": bearer("guess")}, {"Authorization": f"Basic {OPERATOR_KEY}"}):
        with pytest.raises(NoKey) as refused:
            access.operator(ask("127.0.0.1", **headers))
        assert refused.value.challenge is True
    with pytest.raises(NoKey):  # it would stand in logs and histories
        access.operator(ask("127.0.0.1", path=f"/streams?key={OPERATOR_KEY}"))


def test_who_publishes_shows_the_key() -> None:
    access = Access(Config())
    access.publish(stream(), KEY, "192.0.2.1")
    for wrong in ("", "guess", KEY + "x", "schlüssel", "\udcff", "\ud800"):
        with pytest.raises(NoKey):
            access.publish(stream(), wrong, "192.0.2.1")


def test_who_watches_shows_the_view_key_where_there_is_one() -> None:
    access = Access(Config())
    access.view(stream(), "", "192.0.2.1")
    access.view(stream(VIEW_KEY), VIEW_KEY, "192.0.2.1")
    access.view(stream(VIEW_KEY), KEY, "192.0.2.1")
    for wrong in ("", "guess"):
        with pytest.raises(NoKey, match="view key"):
            access.view(stream(VIEW_KEY), wrong, "192.0.2.1")


def test_who_edits_is_the_operator_or_holds_the_key_as_a_bearer() -> None:
    access = Access(Config())
    access.edit(ask("127.0.0.1"), stream())
    access.edit(ask("203.0.113.9", Authorization=bearer(KEY)), stream(VIEW_KEY))
    for headers in ({}, {"Authorization": bearer(VIEW_KEY)}, {"Authorization": bearer("guess")}):
        with pytest.raises(NoKey):
            access.edit(ask("203.0.113.9", **headers), stream(VIEW_KEY))
    with pytest.raises(NoKey):
        access.edit(ask("203.0.113.9", path=f"/streams?key={KEY}"), stream())


def test_a_token_comes_as_a_bearer_or_in_the_query() -> None:
    assert token_of(ask(path="/whip/live?key=one", Authorization=bearer("two"))) == "two"
    assert token_of(ask(path="/whip/live?key=one")) == "one"
    assert token_of(ask(path="/whip/live", Authorization="bEaReR  two ")) == "two"
    assert token_of(ask(path="/whip/live", Authorization="Basic eA==")) == ""


SIGHTS: list[tuple[str, str, Sight]] = [
    ("", "stranger", "viewer"),
    ("guess", "stranger", "viewer"),
    (VIEW_KEY, "viewer", "viewer"),
    (KEY, "publisher", "publisher"),
    (OPERATOR_KEY, "operator", "operator"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "with_view_key", "without"), SIGHTS)
def test_how_much_is_seen_is_by_the_key_that_is_shown(key: str, with_view_key: Sight, without: Sight) -> None:
    access = Access(Config(operator_key=OPERATOR_KEY))
    shown = {"Authorization": bearer(key)} if key else {}
    assert access.sight(ask(**shown), stream(VIEW_KEY)) == with_view_key
    assert access.sight(ask(**shown), stream()) == without
    assert access.sights(ask(**shown), [stream(VIEW_KEY), stream()]) == [with_view_key, without]
    assert access.sights(ask(**shown), []) == []


def test_a_key_in_the_address_shows_no_more_than_a_stream_s() -> None:
    access = Access(Config(operator_key=OPERATOR_KEY))
    by_address = {key: access.sight(ask(path=f"/streams/live?key={key}"), stream(VIEW_KEY))
                  for key in (KEY, VIEW_KEY, OPERATOR_KEY)}  # fmt: skip
    assert by_address == {KEY: "publisher", VIEW_KEY: "viewer", OPERATOR_KEY: "stranger"}


def test_strangers_may_not_watch_and_anybody_may_where_there_is_no_view_key() -> None:
    access = Access(Config(operator_key=OPERATOR_KEY))
    access.watch(ask(), stream())
    for key in (KEY, VIEW_KEY, OPERATOR_KEY):
        access.watch(ask(Authorization=bearer(key)), stream(VIEW_KEY))
    for headers in ({}, {"Authorization": bearer("guess")}):
        with pytest.raises(NoKey, match="view key"):
            access.watch(ask(**headers), stream(VIEW_KEY))


_guesses = itertools.count()


def wrong(access: Access, address: str, times: int = MOST_WRONG, at: str = "live") -> None:
    for _ in range(times):
        with pytest.raises(NoKey):
            access.publish(stream(name=at), new_guess(), address)


def new_guess() -> str:
    return f"guess-{next(_guesses)}"


def test_who_guesses_is_not_heard_for_a_minute(clock: Clock) -> None:
    access = Access(Config())
    wrong(access, "192.0.2.1")
    for token in ("guess", KEY, ""):
        with pytest.raises(TooMany) as refused:
            access.publish(stream(), token, "192.0.2.1")
        assert 1 <= refused.value.retry_after_s <= WINDOW_S + 1
    access.publish(stream(), KEY, "192.0.2.2")
    clock.now += WINDOW_S + 1
    access.publish(stream(), KEY, "192.0.2.1")


def test_slow_mistakes_add_up_to_nothing(clock: Clock) -> None:
    access = Access(Config())
    for _ in range(3 * MOST_WRONG):
        wrong(access, "192.0.2.1", 1)
        clock.now += WINDOW_S / (MOST_WRONG - 1)


def test_to_show_no_key_is_no_guess(clock: Clock) -> None:
    access = Access(Config())
    for _ in range(2 * MOST_WRONG):
        with pytest.raises(NoKey):
            access.publish(stream(), "", "192.0.2.1")
    access.publish(stream(), KEY, "192.0.2.1")


def test_guesses_at_one_stream_count_whatever_they_are_for(clock: Clock) -> None:
    access = Access(Config(operator_key=OPERATOR_KEY))
    for _ in range(MOST_WRONG // 2):
        wrong(access, "203.0.113.9", 1)
        assert access.sight(ask("203.0.113.9", Authorization=bearer(new_guess())), stream()) == "viewer"
    for key in (KEY, OPERATOR_KEY, "guess"):
        with pytest.raises(TooMany):
            access.sight(ask("203.0.113.9", Authorization=bearer(key)), stream())
        with pytest.raises(TooMany):
            access.edit(ask("203.0.113.9", Authorization=bearer(key)), stream())
        with pytest.raises(TooMany):
            access.view(stream(VIEW_KEY), key, "203.0.113.9")


def test_a_key_mistyped_at_one_stream_silences_no_other_behind_its_address(clock: Clock) -> None:
    access = Access(Config(operator_key=OPERATOR_KEY))
    wrong(access, "203.0.113.9")
    with pytest.raises(TooMany):
        access.publish(stream(), KEY, "203.0.113.9")
    access.publish(stream(name="other"), KEY, "203.0.113.9")
    access.edit(ask("203.0.113.9", Authorization=bearer(KEY)), stream(name="other"))
    access.operator(ask("203.0.113.9", Authorization=bearer(OPERATOR_KEY)))
    assert access.sight(ask("203.0.113.9"), stream()) == "viewer", "who shows none guesses none"


def test_the_same_wrong_key_again_is_no_new_guess(clock: Clock) -> None:
    """As OBS comes back with it, while a dock behind the same address has the right one."""
    access = Access(Config())
    for _ in range(3 * MOST_WRONG_IN_ALL):
        with pytest.raises(NoKey):
            access.publish(stream(), "mistyped", "203.0.113.9")
        access.edit(ask("203.0.113.9", Authorization=bearer(KEY)), stream())
        clock.now += 2
    wrong(access, "203.0.113.9", MOST_WRONG - 1)
    with pytest.raises(TooMany):
        access.publish(stream(), "mistyped", "203.0.113.9")


def test_guesses_at_many_streams_are_bounded_for_the_address_as_a_whole(clock: Clock) -> None:
    access = Access(Config(operator_key=OPERATOR_KEY))
    for number in range(MOST_WRONG_IN_ALL):
        wrong(access, "203.0.113.9", 1, f"stream-{number % 13}")
    for at in ("stream-1", "never-tried"):
        with pytest.raises(TooMany, match=str(MOST_WRONG_IN_ALL)):
            access.publish(stream(name=at), KEY, "203.0.113.9")
    with pytest.raises(TooMany):
        access.operator(ask("203.0.113.9", Authorization=bearer(OPERATOR_KEY)))
    with pytest.raises(TooMany):
        access.sights(ask("203.0.113.9", Authorization=bearer(OPERATOR_KEY)), [stream()])
    access.publish(stream(name="never-tried"), KEY, "203.0.113.10")
    clock.now += WINDOW_S + 1
    access.publish(stream(name="stream-1"), KEY, "203.0.113.9")


def test_guesses_at_the_list_are_one_each_however_many_streams_there_are(clock: Clock) -> None:
    access = Access(Config(operator_key=OPERATOR_KEY))
    streams = [stream(name=f"stream-{number}") for number in range(30)]
    for _ in range(MOST_WRONG):
        guess = ask("203.0.113.9", Authorization=bearer(new_guess()))
        assert set(access.sights(guess, streams)) == {"viewer"}
    with pytest.raises(TooMany):
        access.sights(ask("203.0.113.9", Authorization=bearer(OPERATOR_KEY)), streams)


@pytest.mark.parametrize("key", [KEY, VIEW_KEY])
def test_a_stream_s_own_key_is_no_guess_and_no_way_to_go_on_guessing(clock: Clock, key: str) -> None:
    access = Access(Config(operator_key=OPERATOR_KEY))
    for _ in range(2 * MOST_WRONG):
        assert access.sight(ask("203.0.113.9", Authorization=bearer(key)), stream(VIEW_KEY)) != "stranger"
    wrong(access, "203.0.113.9")
    for token in (key, "guess"):
        with pytest.raises(TooMany):
            access.sight(ask("203.0.113.9", Authorization=bearer(token)), stream(VIEW_KEY))
    assert access.sight(ask("203.0.113.10", Authorization=bearer(key)), stream(VIEW_KEY)) != "stranger"


def test_on_this_machine_a_key_of_before_is_no_guess(clock: Clock) -> None:
    access = Access(Config())
    for _ in range(2 * MOST_WRONG):
        assert access.sight(ask("127.0.0.1", Authorization=bearer("of-before")), stream()) == "operator"


@pytest.mark.parametrize("operator_key", ["", OPERATOR_KEY])
def test_guesses_by_edits_count_too(clock: Clock, operator_key: str) -> None:
    access = Access(Config(operator_key=operator_key))
    for guess in (*(f"guess-{i}" for i in range(MOST_WRONG)), "once more"):
        with pytest.raises((NoKey, TooMany), match="key") as refused:
            access.edit(ask("203.0.113.9", Authorization=bearer(guess)), stream())
    assert isinstance(refused.value, TooMany)
    with pytest.raises(TooMany):
        access.edit(ask("203.0.113.9", Authorization=bearer(KEY)), stream())


def test_one_host_has_many_addresses_of_ipv6_and_two_ways_to_write_one_of_ipv4(clock: Clock) -> None:
    access = Access(Config())
    for host in range(MOST_WRONG):
        wrong(access, f"2001:db8:0:1::{host:x}", 1)
    with pytest.raises(TooMany):
        access.publish(stream(), KEY, "2001:db8:0:1:ffff::1")
    access.publish(stream(), KEY, "2001:db8:0:2::1")
    wrong(access, "::ffff:192.0.2.1")
    with pytest.raises(TooMany):
        access.publish(stream(), KEY, "192.0.2.1")
    access.publish(stream(), KEY, "::ffff:192.0.2.2")


def test_behind_a_trusted_proxy_the_visitor_counts_not_the_proxy(clock: Clock) -> None:
    access = Access(Config(operator_key=OPERATOR_KEY, trusted_proxies=("172.17.0.0/16",)))

    def show(key: str, visitor: str) -> None:
        access.edit(ask("172.17.0.2", Authorization=bearer(key), X_Forwarded_For=visitor), stream())

    for _ in range(MOST_WRONG):
        with pytest.raises(NoKey):
            show(new_guess(), "203.0.113.9")
    with pytest.raises(TooMany):
        show(KEY, "203.0.113.9")
    show(KEY, "203.0.113.10")


@pytest.mark.parametrize("remote", ["172.17.0.2", "127.0.0.1"])
@pytest.mark.parametrize("headers", [{"X_Forwarded_For": "127.0.0.1"}, {"X_Forwarded_For": ""}])
def test_no_trusted_proxy_makes_anybody_operator(remote: str, headers: dict[str, str]) -> None:
    access = Access(Config(trusted_proxies=("172.17.0.0/16", "127.0.0.0/8")))
    with pytest.raises(NoKey):
        access.operator(ask(remote, **headers))
    with pytest.raises(NoKey):
        access.operator(ask("172.17.0.2"))
    assert access.sight(ask(remote, **headers), stream()) == "viewer"


def test_addresses_are_forgotten_when_they_are_too_many(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guesses, "MOST_COUNTED", 64)
    access = Access(Config())
    wrong(access, "192.0.2.1")
    for number in range(63):
        wrong(access, f"10.0.0.{number}", 1)
    with pytest.raises(TooMany):
        access.publish(stream(), KEY, "192.0.2.1")
    wrong(access, "10.0.1.1", 1)
    access.publish(stream(), KEY, "192.0.2.1")
