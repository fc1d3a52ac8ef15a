"""The README promises only what there is: every command and option in it exists, every file it shows is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from peers.cli.main import app
from peers.core.leadership.state import TRANSITIONS, LeadershipState
from peers.core.state_machine import draw

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def commands() -> list[list[str]]:
    """Every line of the shell blocks that calls the program, as words."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    called = [["run", *words[2:]] for words in lines if words[:2] == ["bash", "run.sh"]]
    return called + [words[1:] for words in lines if words[:1] == ["bazaar"]]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    group = typer.main.get_command(app)
    with typer.Context(group) as context:
        command = group.get_command(context, words[0])  # type: ignore[attr-defined]
    assert command is not None, words[0]
    known = {option for parameter in command.params for option in parameter.opts}
    used = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
    assert used <= known, used - known


def test_the_diagram_of_states_is_what_the_command_draws() -> None:
    (shown,) = re.findall(r"```mermaid\n(.*?)```", README, flags=re.DOTALL)
    assert shown == draw(TRANSITIONS, LeadershipState.JOINING), "replace it by what `bazaar states` prints"


def test_there_are_commands() -> None:
    assert len(commands()) > 10


def linked() -> list[Path]:
    """Every picture and every document that a README links to, wherever it stands."""
    readmes = [
        path
        for folder in (".", "db", "peers/rpc", "peers/customer", "peers/scenes", "plots")
        for path in (ROOT / folder).glob("README.md")
    ]
    links = [(readme, link) for readme in readmes for link in re.findall(r"\]\(([^)#:]+)\)", readme.read_text())]
    return sorted({(readme.parent / link).resolve() for readme, link in links})


@pytest.mark.parametrize("path", linked(), ids=lambda path: path.name)
def test_everything_linked_is_there(path: Path) -> None:
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:peers|db|plots|nameserver|tests)/[\w/]+\.py)`", README)))
)
def test_every_file_named_is_there(path: str) -> None:
    assert (ROOT / path).is_file()
