"""What the documents say can be typed, and what they point at is there."""

import pathlib
import re
import shlex

import pytest

from actors.environment import check_task
from experiments.main import _USAGE, parse_train
from learner.config_check import check

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [
    path
    for pattern in ("*.md", "docs/*.md", "docs/results/*.md")
    for path in ROOT.glob(pattern)
]
# What stands for something that only the reader knows.
_PLACEHOLDER = re.compile(r"…|\bDIR\b|\bBUCKET\b|\bOTHER\b|\{|\$")


def commands(command):
    """Each `bmg COMMAND …` in an indented block, with its document."""
    for path in DOCUMENTS:
        text = path.read_text().replace("\\\n", " ")
        for line in re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE):
            found = re.search(rf"\bbmg {command} (--.*)", line)
            if found and not _PLACEHOLDER.search(found[1]):
                yield pytest.param(found[1], id=f"{path.name}: {found[1]}")


@pytest.mark.parametrize("flags", [*commands("train")])
def test_every_command_that_trains_is_taken(flags):
    given = [x for x in shlex.split(flags, comments=True) if x != "--submit"]
    if "--help" in given:
        return
    if "--algorithm" in given and given[given.index("--algorithm") + 1] == "A":
        given[given.index("--algorithm") + 1] = "impala"
    if "--seed" in given and given[given.index("--seed") + 1] == "S":
        given[given.index("--seed") + 1] = "1"
    config = parse_train(given)
    check(config)
    check_task(config.task)


def test_every_command_is_one_that_bmg_has():
    known = set(re.findall(r"^  (\S+) {2,}", _USAGE, re.MULTILINE))
    written = re.compile(r"(?:^ {4}|`)bmg ([a-z-]+)", re.MULTILINE)
    named = {
        (path.name, name)
        for path in DOCUMENTS
        for name in written.findall(path.read_text())
    }
    assert len(named) > 10
    assert {pair for pair in named if pair[1] not in known} == set()


def links():
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            if not target.startswith(("http:", "https:", "mailto:")):
                yield pytest.param(path, target, id=f"{path.name}: {target}")


@pytest.mark.parametrize(("path", "target"), [*links()])
def test_no_link_is_dead(path, target):
    file, _, anchor = target.partition("#")
    there = (path.parent / file).resolve() if file else path
    assert there.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
        anchors = {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in headings
        }
        assert anchor in anchors
