"""The command `relens`. Parses arguments; errors of settings and devices become exit codes."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from gpu.errors import DeviceError, ModelError
from server.config import KEYS, Config, load_config
from server.edit_command import add_arguments as add_edit_arguments
from server.errors import ConfigError
from server.gc_command import add_arguments as add_gc_arguments
from server.kept.errors import KeptError
from server.models_command import add_commands

BAD_USE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 when it did its work, 1 when it found a fault, 2 for unusable settings."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["distill"]:  # has commands and help of its own
        return _distill(words[1:])
    parser = _parser()
    arguments = vars(parser.parse_args(words))
    command = arguments.pop("command")
    try:
        code = _COMMANDS[command](arguments)
        sys.stdout.flush()
        return code
    except (ConfigError, DeviceError, ModelError, KeptError) as error:
        print(f"relens: {error}", file=sys.stderr)
        return BAD_USE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has left: `relens doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="relens", description="Edits live video by instruction.")
    parser.add_argument("--version", action="version", version=f"relens {version('relens')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    serve = commands.add_parser("serve", help="run the server and its page")
    _add_config(serve)
    doctor = commands.add_parser(
        "doctor", help="say what works on this machine, and what to do about the rest"
    )
    doctor.add_argument("--json", action="store_true", help="as one JSON document")
    _add_config(doctor)
    models = commands.add_parser("models", help="list the edit models; fetch, check and remove weights")
    add_commands(models)
    edit = commands.add_parser("edit", help="edit a film: IN OUT --prompt …")
    add_edit_arguments(edit)
    gc = commands.add_parser("gc", help="remove films, results and uploads that nobody needs any more")
    add_gc_arguments(gc)
    _add_config(gc)
    commands.add_parser("distill", help="make nano anew: pictures, training, export, report", add_help=False)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="TOML file with settings (or RELENS_CONFIG)")
    group = parser.add_argument_group("settings", "each also as RELENS_<NAME>; see server/CONFIG.md")
    for name, key in KEYS.items():
        meaning = key.metadata["doc"].replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        if isinstance(key.default, bool):
            group.add_argument(flag, dest=name, nargs="?", const="true", metavar="VALUE", help=meaning)
        else:
            group.add_argument(flag, dest=name, metavar="VALUE", help=meaning)


def _config(arguments: dict[str, Any]) -> Config:
    toml_path = arguments.pop("config", None) or os.environ.get("RELENS_CONFIG") or None
    return load_config(toml_path, os.environ, {name: arguments.get(name) for name in KEYS})


def _serve(arguments: dict[str, Any]) -> int:
    config = _config(arguments)
    from server.log import setup_logging
    from server.serve import serve

    setup_logging(config.log_level)
    work = serve(config, lambda line: print(line, flush=True))
    if sys.platform == "win32":
        asyncio.run(work)
    else:
        import uvloop

        uvloop.run(work)
    leave_threads(0)
    return 0


def leave_threads(code: int) -> None:
    """Ends the process at once where a thread of ours is still in a library's call, on a machine too busy to
    wait for it: the interpreter's own end would unwind it there, and C++ calls that an abort."""
    left = [thread.name for thread in threading.enumerate() if thread.daemon and "relens" in thread.name]
    if left:
        logging.getLogger(__name__).warning("ended without waiting for %s", ", ".join(left))
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _doctor(arguments: dict[str, Any]) -> int:
    from server.doctor import examine, report

    as_json = arguments.pop("json")
    findings = examine(_config(arguments))
    print(report(findings, as_json))
    return 1 if any(finding.needed and not finding.ok for finding in findings) else 0


def _models(arguments: dict[str, Any]) -> int:
    from server.models_command import run

    return run(arguments, _config(arguments))


def _edit(arguments: dict[str, Any]) -> int:
    from server import edit_command

    return edit_command.run(arguments)


def _gc(arguments: dict[str, Any]) -> int:
    from server.gc_command import run

    dry_run, now = arguments.pop("dry_run"), arguments.pop("now")
    return run(_config(arguments), dry_run=dry_run, now=now)


def _distill(words: Sequence[str]) -> int:
    from gpu.nano.distill.cli import main as distill

    try:
        return distill(words)
    except KeyboardInterrupt:
        return 130


_COMMANDS: dict[str, Callable[[dict[str, Any]], int]] = {
    "serve": _serve,
    "doctor": _doctor,
    "models": _models,
    "edit": _edit,
    "gc": _gc,
}

if __name__ == "__main__":
    raise SystemExit(main())
