"""Commands in the documents are valid, and their links are not dead."""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from actors.environment import check_task
from experiments.command.main import COMMANDS
from learner.config_check import check

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [
    path
    for pattern in ("*.md", "docs/*.md", "docs/results/**/*.md", "deploy/*.md")
    for path in ROOT.glob(pattern)
]
# A file or a folder of the repository, as documents name it.
_PATH = re.compile(
    r"`((?:actors|benchmarks|deploy|docs|examples|experiments|learner|meta|tests)"
    r"/(?:[\w/.-]+\.py|(?:[\w.-]+/)*))`"
)
# What stands for something that only the reader knows.
_PLACEHOLDER = re.compile(r"…|\{|\$")
_STANDS_FOR = {"A": "impala", "S": "1", "X": "3000"}


def blocks(text: str) -> str:
    """The indented and fenced blocks of a document, a line per command."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
    return "\n".join([*fenced, *indented])


def commands():
    """Each `bmg COMMAND …` in a block or a phrase, with its document."""
    for path in DOCUMENTS:
        text = re.sub(r"\\\n\s*", " ", path.read_text())
        phrases = re.findall(r"`([^`\n]+)`", text)
        lines = dict.fromkeys([*blocks(text).splitlines(), *phrases])
        for line in lines:
            typed = re.split(r"#|\s{3,}", line.strip())[0].strip()
            found = re.match(r"(?:\S+=\S+ )*\S*\bbmg ([a-z-]+) (.+)", typed)
            # A flag by itself is named, not given.
            named = found and re.fullmatch(r"--\S+", found[2])
            if found and not named and not _PLACEHOLDER.search(typed):
                yield pytest.param(*found.groups(), id=f"{path.name}: {typed}")


@pytest.mark.parametrize(("name", "rest"), [*commands()])
def test_every_command_is_taken(name, rest):
    command = COMMANDS[name]
    given = shlex.split(rest.partition(" > ")[0])
    switches = {f"--{switch}" for switch in command.switches}
    given = [_STANDS_FOR.get(x, x) for x in given if x not in switches]
    if "--help" in given:
        return
    if "--config" in given:
        assert given.index("--config") + 1 < len(given)
        return
    config = command.parser()(given)
    if name == "train":
        check(config)
        check_task(config.task)


def test_commands_are_found_wherever_they_stand():
    found = {param.values[0] for param in commands()}
    assert found >= set(COMMANDS) - {"stop", "logs", "status"}


def test_every_command_is_one_that_bmg_has():
    written = re.compile(r"(?:^ {4}|`)bmg ([a-z-]+)", re.MULTILINE)
    named = {
        (path.name, name)
        for path in DOCUMENTS
        for name in written.findall(path.read_text())
    }
    assert len(named) > 10
    assert {pair for pair in named if pair[1] not in COMMANDS} == set()


def examples():
    """Each block of Python."""
    for path in DOCUMENTS:
        found = re.findall(
            r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL
        )
        for number, code in enumerate(found, start=1):
            yield pytest.param(code, id=f"{path.name}: {number}")


@pytest.mark.parametrize("code", [*examples()])
def test_every_example_of_python_runs(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def links():
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            if not target.startswith(("http:", "https:", "mailto:")):
                yield pytest.param(path, target, id=f"{path.name}: {target}")


@pytest.mark.parametrize(("path", "target"), [*links()])
def test_no_link_is_dead(path, target):
    file, _, anchor = target.partition("#")
    linked = (path.parent / file).resolve() if file else path
    assert linked.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
        anchors = {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in headings
        }
        assert anchor in anchors


@pytest.mark.parametrize(
    "path",
    [path for path in DOCUMENTS if "results" not in path.parts],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_file_that_a_document_names_is_there(path):
    """Results name what was there when they were made."""
    for name in _PATH.findall(path.read_text()):
        assert (ROOT / name).exists(), name


def test_a_file_that_a_document_names_is_found():
    assert _PATH.findall("`meta/matching.py`, `learner/record/`") == [
        "meta/matching.py",
        "learner/record/",
    ]
    assert not _PATH.findall("meta/loss and `runs/smoke`")
