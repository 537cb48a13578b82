"""`relens models`: lists the models, and fetches, checks, adds and removes the weights of the large ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu.checkpoints import catalogue
from gpu.checkpoints.catalogue import LargeModel
from gpu.checkpoints.fault import size_text
from gpu.checkpoints.store import Found, Store
from gpu.errors import ModelError
from server.config import Config
from server.errors import ConfigError

GOOD, FAULT, INTERRUPTED = 0, 1, 130


def add_commands(parser: argparse.ArgumentParser) -> None:
    """What comes after `relens models`; nothing means `list`."""
    _add_folder(parser)
    parser.add_argument("--json", action="store_true", help="the list as one JSON document")
    actions = parser.add_subparsers(dest="action", metavar="action")
    actions.required = False
    listing = actions.add_parser("list", help="every model, and whether its weights are here")
    listing.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="as one JSON document"
    )
    _add_folder(listing)
    download = actions.add_parser(
        "download", help="fetch a model's weights; goes on where it was interrupted"
    )
    verify = actions.add_parser("verify", help="read a model's weights and hold them against their sums")
    add = actions.add_parser("add", help="take weights that are on this machine, by links where that works")
    remove = actions.add_parser("remove", help="free the disk of what no other model needs")
    for action in (download, verify, add, remove):
        action.add_argument("name", help="a model of `relens models`")
        _add_folder(action)
    add.add_argument("--from", dest="source", metavar="FOLDER", required=True, help="the folder, or one file")
    for action in (download, remove):
        action.add_argument("--yes", action="store_true", help="do not ask")


def _add_folder(parser: argparse.ArgumentParser) -> None:
    hidden = argparse.SUPPRESS  # given before or after the action
    parser.add_argument("--models-dir", metavar="FOLDER", default=hidden, help="where weights are kept")
    parser.add_argument("--config", metavar="FILE", default=hidden, help="TOML file with settings")


def run(arguments: dict[str, Any], config: Config) -> int:
    """Do what was asked for. 0 when all is well, 1 when something is wrong with the weights or was declined.

    Raises ModelError, DeviceError or ConfigError for what could not be done."""
    action = arguments["action"] or "list"
    if action == "list":
        return _list(config, arguments["json"])
    store, name = Store(config.models_dir), arguments["name"]
    large = [model.name for model in catalogue.MODELS]
    if name not in large:
        names = _names(config)
        if name in names:
            print(f"{name} is part of relens: it needs no weights beside it")
            return GOOD
        every = ", ".join(dict.fromkeys((*names, *large)))
        raise ModelError(f"there is no model {name[:60]!r}: choose one of {every}")
    model = catalogue.named(name)
    actions: dict[str, Callable[[Store, LargeModel, dict[str, Any]], int]] = {
        "download": _download,
        "verify": _verify,
        "add": _add,
        "remove": _remove,
    }
    return actions[action](store, model, arguments)


def _names(config: Config) -> list[str]:
    from gpu.models.registry import list_models

    return [spec.name for spec in list_models(config.models)]


def _list(config: Config, as_json: bool) -> int:
    import msgspec

    from gpu.models.registry import list_large, list_models
    from server.api import ModelList, model_info

    store = Store(config.models_dir)
    large = {model.name: model for model in catalogue.MODELS}
    specs = {spec.name: spec for spec in (*list_models(config.models), *list_large(config.models))}
    infos = []
    for spec in specs.values():
        here = store.state(large[spec.name]) if spec.name in large else "ready"
        infos.append(model_info(spec, spec.name == Config().model, "", state=here))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(ModelList(models=infos))).decode())
        return GOOD
    for model in infos:
        width, height = model.max_size
        about = f"{model.title}; up to {width}x{height}; {model.licence}; {model.weights}"
        state = _state_text(store, large[model.name]) if model.name in large else model.state
        print(f"{model.name:<13} {state}; {about}")
        if model.presets:
            print(f"{'':<13} {', '.join(preset.label for preset in model.presets)}")
        if model.name in large:
            for source in large[model.name].sources:
                print(f"{'':<13} licence of {source.repo}: {source.terms.licence}")
    print("A server measures which of nano and nano-plus it begins with: see `relens doctor`.")
    return GOOD


def _state_text(store: Store, model: LargeModel) -> str:
    """The state with sizes: "not downloaded (11.91 GB and ar-forcing_002000.pt)"."""
    state, found = store.state(model), store.look(model)
    if state == "ready":
        return f"{state} ({size_text(_bytes(found))})"
    return f"{state} ({store.left(model)}): `relens models download {model.name}`"


def _bytes(found: list[Found]) -> int:
    return sum(each.have_bytes or 0 for each in found)


def _download(store: Store, model: LargeModel, arguments: dict[str, Any]) -> int:
    from gpu.checkpoints.download import Download, to_fetch
    from gpu.checkpoints.hub import Hub
    from gpu.checkpoints.progress import to_stream

    if store.state(model) == "ready":
        size = size_text(_bytes(store.look(model)))
        print(f"{model.name} is ready in {store.root} ({size}): nothing to fetch")
        return GOOD
    _may_ask(arguments, "show you the licences")
    download = Download(store, model, Hub())
    try:
        wanted = download.plan()
        for each in wanted:
            there = f", {size_text(each.have_bytes)} of it there already" if each.have_bytes else ""
            print(f"  {each.offer.file.name}  {size_text(each.offer.size_bytes)}{there}")
        print(f"To fetch: {size_text(to_fetch(wanted))}, into {store.root}\n")
        for source in model.sources:
            print(f"{source.repo}: {source.terms.licence}. {source.terms.allows}\n  {source.page}")
        if not _agreed(arguments, "Fetch them under these terms?"):
            return FAULT
        download.run(wanted, to_stream())
    except KeyboardInterrupt:
        print("\nstopped: run the same command again, it goes on where it was", file=sys.stderr)
        return INTERRUPTED
    print(f"{model.name} is ready: relens serve --model {model.name}")
    return GOOD


def _verify(store: Store, model: LargeModel, arguments: dict[str, Any]) -> int:
    from gpu.checkpoints.progress import to_stream
    from gpu.checkpoints.verify import verify

    if store.state(model) == "not downloaded":
        print(store.why_not(model))
        return FAULT
    verdicts = verify(store, model, to_stream())
    bad = [verdict for verdict in verdicts if verdict.fault]
    for verdict in verdicts:
        if verdict.fault:
            print(f"BAD  {verdict.fault}")
        elif verdict.sum_known:
            print(f"ok   {verdict.found.path}")
        else:
            print(f"ok   {verdict.found.path}: readable; no sum is known to hold it against")
    if not bad:
        print(f"{model.name} is whole")
        return GOOD
    foreign = [each.found for each in bad if each.found.path != store.own_place(each.found.file)]
    if foreign:
        print(f"Remove {', '.join(str(each.path) for each in foreign)}, which relens did not put there.")
    print(f"Run `relens models download {model.name}`: it fetches what is missing or bad, and nothing else.")
    return FAULT


def _add(store: Store, model: LargeModel, arguments: dict[str, Any]) -> int:
    from gpu.checkpoints.adopt import adopt

    for taken in adopt(store, model, Path(arguments["source"]).expanduser()):
        print(f"{taken.file.path}: {taken.how}" + (f", {taken.source}" if taken.source else ""))
    if store.state(model) == "ready":
        print(f"{model.name} is ready (`relens models verify {model.name}` reads all of it once)")
        return GOOD
    lacking = [found.file.name for found in store.look(model) if not found.whole]
    print(f"Still missing: {', '.join(lacking)}. The rest: relens models download {model.name}")
    return FAULT


def _remove(store: Store, model: LargeModel, arguments: dict[str, Any]) -> int:
    going, kept = store.removable(model)
    for file, user in kept:
        print(f"{file.name} stays: {user} needs it")
    foreign = [
        each.path for each in store.look(model) if each.have_bytes and each.path != store.own_place(each.file)
    ]
    if foreign:
        print(f"Not put there by relens, and left alone: {', '.join(map(str, foreign))}")
    if not going:
        print(f"there is nothing of {model.name} to remove in {store.root}")
        return GOOD
    for found in going:
        link = " (a link: what it points to stays)" if found.path.is_symlink() else ""
        print(f"{found.path}  {size_text(found.have_bytes or 0)}{link}")
    _may_ask(arguments, "ask")
    if not _agreed(arguments, f"Remove {'this file' if len(going) == 1 else f'these {len(going)} files'}?"):
        return FAULT
    try:
        freed = sum(store.forget(found.file) for found in going)
    except OSError as exc:
        raise ModelError(f"{exc.filename} cannot be removed ({exc.strerror}): check who owns it") from exc
    print(f"{size_text(freed)} freed")
    return GOOD


def _may_ask(arguments: dict[str, Any], what: str) -> None:
    if not arguments["yes"] and not sys.stdin.isatty():
        raise ConfigError(f"there is no terminal to {what} in: add --yes where that is what you want")


def _agreed(arguments: dict[str, Any], question: str) -> bool:
    if arguments["yes"]:
        return True
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    print("nothing was done")
    return False
