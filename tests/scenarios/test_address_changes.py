"""This machine gets another address; told in a network of its own, whose addresses may be changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..conftest import needs

STORIES = Path(__file__).parent / "namespace"


def test_the_voice_follows_when_our_address_towards_the_pbx_changes() -> None:
    needs("asterisk", "namespace")
    _tell("moving.py")


def test_an_rtpengine_and_a_pbx_over_tcp_are_met_from_the_new_address() -> None:
    needs("namespace")
    _tell("neighbours.py")


def _tell(story: str) -> None:
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(STORIES / story)]
    inside = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", *pytest]
    told = subprocess.run(["unshare", "--net", *inside], capture_output=True, text=True, timeout=180)
    assert told.returncode == 0, told.stdout + told.stderr
