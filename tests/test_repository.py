"""What must hold of the repository as a whole: its files, its pins, its tests. Runs no product code."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
MAX_WEIGHTS_BYTES = 25 * 2**20  # what a clone may cost for the small model
MAX_FILE_BYTES = 15 * 2**20
PACKAGES = ("server", "gpu")

# Package registries: a clone must work with whichever its machine is set up for. Split, not to find itself.
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(first + "." + rest)
        for first, rest in [
            ("pypi", "org"), ("pythonhosted", "org"), ("registry.npmjs", "org"), ("npmjs", "com"),
            ("registry.yarnpkg", "com"), ("deb.debian", "org"), ("archive.ubuntu", "com"),
            ("deb.nodesource", "com"), ("download.pytorch", "org"),
        ]
    )
)  # fmt: skip

# Source files that no test imports, each with the reason.
UNTESTED = {
    "gpu/film/child.py": "a process of its own: tests run it by open_film",
    "gpu/film/pcm_service.py": "runs in the child that reads a film: tests run it by PcmReader",
    "gpu/film/pictures.py": "runs in the child that reads a film: tests run it by open_film",
    "gpu/film/service.py": "runs in the child that reads a film: tests run it by open_film",
    "server/push/child.py": "a process of its own: tests run it by Pushers",
    "server/srt/child.py": "a process of its own: tests run it by SrtListener",
    "gpu/wan/engines/build_child.py": "a process of its own: tests run it by build_engine",
    "gpu/wan/engines/trt_network.py": "runs in the child that builds engines: tests run it by build_engine",
    "server/jobs/metrics.py": "tests read it at /metrics",
    "server/jobs/request.py": "tests run it by POST /edit-video",
    "server/uploads/films.py": "tests run it by a server's /files",
    "server/uploads/receiver.py": "tests run it by a server's /files",
    "gpu/nano/text/sentences.py": "sentences for training; tests read others, written by hand",
    "gpu/nano/text/clauses.py": "sentences for training; tests read others, written by hand",
    "gpu/nano/text/truth.py": "sentences for training; tests read others, written by hand",
    "gpu/nano/text/typing_slips.py": "sentences for training; tests read others, written by hand",
    "gpu/nano/text/network.py": "needs torch: tests run the weights made with it",
    "gpu/nano/text/train.py": "needs torch: training is run by hand, tests run the weights it writes",
    "gpu/nano/text/meaning.py": "needs torch and a sentence encoder: run by hand before training",
    "gpu/nano/distill/cli.py": "needs torch: tests run it as the command `relens distill`",
    "gpu/nano/distill/loop.py": "needs torch: tests run it by `relens distill train`",
    "gpu/nano/distill/evaluate.py": "needs torch: tests run it by `relens distill evaluate`",
    "gpu/nano/distill/assemble.py": "needs torch: tests run it by `relens distill export`",
    "gpu/nano/distill/shelf.py": "needs torch: tests run it by `relens distill evaluate`",
    "gpu/nano/distill/card.py": "needs torch: tests run it by `relens distill card`",
    "gpu/nano/text/encoder.py": "needs torch and a sentence encoder: run by hand before training",
}


@cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    """Files that git knows of and that are there, as absolute paths."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())


def text_of(path: Path) -> str | None:
    """None for a binary file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules_of(path: Path) -> set[str]:
    """Every dotted name that a Python file imports, `a.b` and `a.b.c` for `from a.b import c`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            base = ".".join((*folder, node.module))
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def folder_of(path: Path) -> str:
    """The package that a module is a part of, with its dot."""
    return ".".join(path.relative_to(ROOT).parts[:-1]) + "."


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def lock() -> dict[str, str]:
    pins = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if line:
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._!+]+", line), (
                f"only name==version goes there: {line!r}"
            )
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    return pins


def test_no_registry_is_named() -> None:
    named = [
        f"{name_of(path)}: {found.group()}"
        for path in tracked()
        if (text := text_of(path)) and (found := REGISTRY_HOSTS.search(text))
    ]
    assert not named, "a clone must work with the package registry its machine is set up for"


def test_no_path_of_one_machine() -> None:
    home = re.compile(r"(?<![\w.])/(?:work|home|Users)/[a-z][\w.-]*/")
    named = [
        f"{name_of(path)}: {found.group()}"
        for path in tracked("*.py", "*.ts", "*.tsx", "*.mjs", "*.md", "*.toml", "*.json", "Makefile", ".ci/*")
        if path != Path(__file__) and (text := text_of(path)) and (found := home.search(text))
    ]
    assert not named


@pytest.mark.parametrize("extra", ["", "bench", "test"])
def test_lock_has_every_dependency_in_its_range(
    project: dict[str, object], lock: dict[str, str], extra: str
) -> None:
    declared = project["optional-dependencies"][extra] if extra else project["dependencies"]  # type: ignore[index]
    for line in declared:
        requirement = Requirement(line)
        pin = lock.get(canonicalize_name(requirement.name))
        assert pin, f"{requirement.name} is not in requirements.lock: make lock"
        assert requirement.specifier.contains(pin), (
            f"requirements.lock has {requirement.name} {pin}, not {requirement}"
        )


def test_lock_is_what_is_installed(lock: dict[str, str]) -> None:
    """The tests must not pass because of another version than the one a clone gets."""
    from importlib.metadata import PackageNotFoundError, version

    other = {}
    for name, pin in lock.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue  # the page's Node.js, or what another system needs
        if installed.partition("+")[0] != pin:  # torch's "+cpu" is the index's choice of build
            other[name] = (pin, installed)
    assert not other, "requirements.lock and this environment differ: make setup"


def test_page_lock_has_no_addresses() -> None:
    text = (ROOT / "web/package-lock.json").read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in "".join(
        line
        for line in text.splitlines()
        if '"url"' not in line  # funding pages, not downloads
    )
    packages = json.loads(text)["packages"]
    assert not [name for name, package in packages.items() if "resolved" in package]


def test_page_lock_pins_what_the_page_asks_for() -> None:
    wanted = json.loads((ROOT / "web/package.json").read_text(encoding="utf-8"))
    locked = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))["packages"][""]
    for kind in ("dependencies", "devDependencies"):
        assert wanted.get(kind, {}) == locked.get(kind, {}), (
            "cd web && npm install, then commit package-lock.json"
        )


def test_weights_are_small_enough_for_a_clone() -> None:
    weights = {
        name_of(path): path.stat().st_size
        for path in tracked("gpu/**/*.onnx", "gpu/**/*.npz", "gpu/**/*.bin")
    }
    assert sum(weights.values()) <= MAX_WEIGHTS_BYTES, weights


def test_no_file_is_huge() -> None:
    assert not [name_of(path) for path in tracked() if path.stat().st_size > MAX_FILE_BYTES]


def test_every_source_file_is_imported_by_a_test() -> None:
    """By a test, or as a part of its own package by a module there that a test imports."""
    imported = set[str]()
    for test in tracked("tests/**/*.py"):
        imported |= modules_of(test)
    sources = tracked(*(f"{package}/**/*.py" for package in PACKAGES))
    while True:
        reached = [path for path in sources if module_name(path) in imported]
        parts = {name for path in reached for name in modules_of(path) if name.startswith(folder_of(path))}
        if parts <= imported:
            break
        imported |= parts
    missing = []
    for path in sources:
        is_empty = not any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
        )
        if not is_empty and module_name(path) not in imported and name_of(path) not in UNTESTED:
            missing.append(name_of(path))
    assert not missing, f"write a test that imports it, or say why not in UNTESTED: {missing}"


def test_reasons_are_for_files_that_exist() -> None:
    assert not [name for name in UNTESTED if not (ROOT / name).is_file()]


def test_every_test_folder_mirrors_a_source_folder() -> None:
    mirrored = {"web", "bench", "soak", "fuzz", "docker", *PACKAGES}
    tops = {path.relative_to(ROOT / "tests").parts[0] for path in tracked("tests/**/test_*.py")}
    assert {top for top in tops if not top.endswith(".py")} <= mirrored


def test_test_files_have_names_of_their_own() -> None:
    """Pytest imports them by name alone: a second one of the same name ends the whole run."""
    names = [path.name for path in tracked("tests/**/*.py") if path.name != "conftest.py"]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("name", ["README.md", "DESIGN.md", "CHANGELOG.md", "LICENSE", "NOTICE"])
def test_what_a_reader_looks_for_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 200


def test_design_has_its_headings() -> None:
    headings = re.findall(
        r"^## (?:\d+\. )?(.+)$", (ROOT / "DESIGN.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    wanted = (
        "Overview, Requirements, Architecture, Components, Data, API, Infrastructure, AI components, "
        "Performance, Monitoring, Trade-offs, Research foundation, Roadmap"
    )
    assert headings == wanted.split(", ")


@pytest.mark.parametrize(
    "path",
    sorted(p for p in (ROOT / ".ci").iterdir() if p.is_file() and p.suffix != ".py"),
    ids=lambda path: path.name,
)
def test_scripts_are_well_formed(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", str(path)], check=True, timeout=30)


def test_readme_names_commands_that_make_has() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", readme, re.MULTILINE))  # not "make it snow"
    assert {"run", "test"} <= named
    assert not [target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)]
