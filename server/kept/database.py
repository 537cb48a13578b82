"""The database: an engine by URL, and short transactions that survive its restart. Knows no table."""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import Connection, Engine

from server.kept.errors import LOOK, DatabaseUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

POOL = 8  # connections; as many as threads use them
BUSY_S = 5.0  # how long SQLite itself waits for another writer
GIVE_UP_S = 10.0  # of tries of one transaction, all together
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 1.0
NEWS_S = 60.0  # so long that it was away says that it is
LOG_EVERY_S = 30.0  # that it is away: many threads find that out, many times a second
AGAIN = ("40001", "40P01")  # PostgreSQL: serialization failure, deadlock: the same transaction may pass next


class Database:
    """One database for many threads."""

    def __init__(self, url: str, *, give_up_s: float = GIVE_UP_S) -> None:
        """Connects at the first call only. Raises DatabaseUnavailable for a URL that cannot be one, or
        where the driver is missing."""
        self._give_up_s = give_up_s
        self._logged_s = -LOG_EVERY_S
        self._is_away: bool | None = None  # None: it never was there, which is told by who opens it
        self._failed_s, self._said = 0.0, ""  # when it was found away last, and what it said
        self.url = shown(url)
        try:
            self.engine = _engine(url)
        except (exc.ArgumentError, exc.NoSuchModuleError, ImportError, ValueError) as error:
            raise DatabaseUnavailable(
                f"database_url {self.url} cannot be used ({error}): give sqlite:///PATH, or postgresql://… "
                "with the extra: pip install 'relens[postgres]'",
                f"this server's database_url cannot be used: {LOOK}",
            ) from error

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def away(self) -> str:
        """Why it does not answer, as who asked it last was told; "" where it does, or nobody asked lately."""
        fresh = time.monotonic() - self._failed_s < NEWS_S
        return f"the database {self.url} does not answer ({self._said})" if self._is_away and fresh else ""

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, of one snapshot or nearly so. Tried again where the database went away."""
        return self._tries(work, writes=False)

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, committed. `work` may run twice, also when the first did commit and the
        answer was lost: it must then find what it did. Raises DatabaseUnavailable after `give_up_s`."""
        return self._tries(work, writes=True)

    def give_up_after(self, seconds: float) -> None:
        """Of tries of one transaction, from now on."""
        self._give_up_s = seconds

    def close(self) -> None:
        self.engine.dispose()

    def _tries(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        until = time.monotonic() + self._give_up_s
        wait_s = FIRST_WAIT_S
        while True:
            try:
                with (
                    self.engine.connect().execution_options(relens_writes=writes) as connection,
                    connection.begin(),
                ):
                    made = work(connection)
                self._is_there()
                return made
            except (exc.DBAPIError, exc.TimeoutError) as error:
                if not _passes(error):
                    raise _unusable(self.url, error) from error
                if time.monotonic() + wait_s > until:
                    raise _unavailable(self.url, _words(error), "see that it runs") from error
                self._is_not_there(error)
            time.sleep(wait_s * random.uniform(0.5, 1))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _is_not_there(self, error: Exception) -> None:
        """Said once in a while, whoever finds it."""
        now_s = time.monotonic()
        if self._is_away is None:
            return
        self._is_away, self._failed_s, self._said = True, now_s, _words(error)
        if now_s - self._logged_s >= LOG_EVERY_S:
            self._logged_s = now_s
            log.warning("the database %s answers %s; it is tried again", self.url, self._said)

    def _is_there(self) -> None:
        if self._is_away:
            log.info("the database answers again")
        self._is_away = False


def insert_new(connection: Connection, table: Any, rows: Mapping[str, Any] | list[dict[str, Any]]) -> None:
    """Insert what is not there yet by its primary or a unique key."""
    from sqlalchemy.dialects import postgresql, sqlite

    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(make(table).on_conflict_do_nothing(), rows)


def now_of(connection: Connection) -> float:
    """The database's own clock, seconds since 1970: workers on several machines agree on it alone."""
    if connection.dialect.name == "sqlite":
        return time.time()  # the file is on this machine
    return float(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def shown(url: str) -> str:
    """Without passwords, also where one ends in what is taken for a host, or is given behind the `?`."""
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError):  # of a port
        return "(not a URL)"
    host = (parsed.host or "").rpartition("@")[2]
    query = {name: "hidden" if "password" in name.lower() else value for name, value in parsed.query.items()}
    return parsed.set(host=host or None, query=query).render_as_string(hide_password=True)


def _engine(url: str) -> Engine:
    try:
        parsed = sa.make_url(url)
    except ValueError:  # it holds what stands there, and that may be a password without its host
        raise ValueError("its port is no number") from None
    if "@" in (parsed.host or ""):  # the end of a password would be shown as a host, and looked up as one
        raise ValueError("an @ in its user or password is written %40")
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            parsed,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=GIVE_UP_S,
            hide_parameters=True,
            connect_args={"timeout": BUSY_S},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.drivername != "postgresql+psycopg":
        raise ValueError(f"{parsed.drivername} is not one of sqlite, postgresql")
    # A transaction that hangs on a lost network, or on a lock, must not hold a thread for ever.
    options = "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=30000"
    return sa.create_engine(
        parsed,
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=GIVE_UP_S,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,  # keys of streams and targets are among them, and errors are logged
        connect_args={"connect_timeout": 5, "options": options, "application_name": "relens"},
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 would begin late, and not for reads: `_begin_sqlite` does
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")  # a finished segment stays finished through a power cut
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its place at once: one that only reads first may find that it may not write any more."""
    writes = connection.get_execution_options().get("relens_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _passes(error: Exception) -> bool:
    """Whether the same transaction may succeed soon: the connection was lost, or another was in the way."""
    if isinstance(error, exc.TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, exc.InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        if isinstance(error.orig, sqlite3.Error):
            return "locked" in _words(error)
        return isinstance(error, exc.OperationalError)  # there was no server to give the error a number
    # class 08: connection; 57P0x: shut down, crashed, starting; 55P03: lock not available
    return state in AGAIN or state[:2] == "08" or state[:4] == "57P0" or state == "55P03"


def _words(error: Exception) -> str:
    orig = error.orig if isinstance(error, exc.DBAPIError) else error
    return str(orig).strip().partition("\n")[0][:200]


def _unusable(url: str, error: Exception) -> Exception:
    """What a person is told; defects of ours stay what they are."""
    if (
        isinstance(error, exc.OperationalError) or type(error) is exc.DatabaseError
    ):  # "file is not a database"
        words = _words(error)
        full = "disk is full" in words or getattr(error.orig, "sqlstate", "") == "53100"
        remedy = "free some of its disk" if full else "see that it runs and may be written"
        return _unavailable(url, words, remedy)
    return error


def _unavailable(url: str, words: str, remedy: str) -> DatabaseUnavailable:
    """A file's words have no address in them, and strangers may hear those."""
    why = f" ({words})" if url.startswith("sqlite:") else ""
    told = f"this server's database cannot be used for now{why}: {LOOK}"
    return DatabaseUnavailable(f"the database {url} cannot be used ({words}): {remedy}", told)
