"""`make setup`: what it decides before it runs anything. What it downloads is executed next, so it must be pinned."""

import hashlib

import pytest

from deploy.setup import PYPI, index_url, is_new_enough, verify, wheel_url

WHEEL = "uv-1.2.3-py3-none-any.whl"


def test_pypi_is_asked_when_no_mirror_is_named() -> None:
    """Without a mirror in the environment, PyPI is the index; an empty variable names none."""
    assert index_url({"HOME": "/root", "PIP_INDEX_URL": ""}) == PYPI


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"])
def test_a_mirror_in_the_environment_is_used(name: str) -> None:
    """Each variable by which uv and pip learn of a mirror is honoured, with or without its last slash."""
    assert index_url({name: "https://mirror.example/simple/"}) == "https://mirror.example/simple"


def test_the_mirror_named_to_uv_goes_before_the_one_named_to_pip() -> None:
    """uv does the work, so its own variables win."""
    environment = {"PIP_INDEX_URL": "https://pip.example/simple", "UV_DEFAULT_INDEX": "https://uv.example/simple"}
    assert index_url(environment) == "https://uv.example/simple"


def test_a_wheel_with_another_checksum_is_refused() -> None:
    """Bytes that are not the pinned ones end the setup, and the message names both checksums."""
    pinned, found = hashlib.sha256(b"uv").hexdigest(), hashlib.sha256(b"not uv").hexdigest()
    with pytest.raises(SystemExit) as refusal:
        verify(b"not uv", pinned, WHEEL)
    assert pinned in str(refusal.value)
    assert found in str(refusal.value)


def test_a_wheel_with_the_pinned_checksum_passes() -> None:
    """The pinned bytes are let through."""
    verify(b"uv", hashlib.sha256(b"uv").hexdigest(), WHEEL)


@pytest.mark.parametrize(
    "link",
    [
        f"https://files.example/ab/{WHEEL}#sha256=00",  # PyPI: another host, with a fragment
        f"../../ab/{WHEEL}",  # many mirrors: relative to the page
        f"/ab/{WHEEL}",
    ],
)
def test_a_wheel_is_found_on_an_index_page(link: str) -> None:
    """Links of the simple API may be absolute or relative, and carry a checksum that does not belong to the address."""
    page = f'<a href="other.whl">other</a> <a href="{link}" data-requires-python="&gt;=3.8">{WHEEL}</a>'
    assert wheel_url(page, "https://files.example/simple/uv/", WHEEL) == f"https://files.example/ab/{WHEEL}"


def test_a_wheel_that_is_not_offered_is_not_found() -> None:
    """An index without our version yields nothing, not a neighbour."""
    assert wheel_url(f'<a href="https://files.example/{WHEEL}.metadata">', "https://files.example/", WHEEL) is None


@pytest.mark.parametrize(
    ("line", "enough"),
    [("uv 0.13.8 (x86_64-unknown-linux-gnu)", True), ("uv 0.9.0", True), ("uv 1.0.0", True), ("uv 0.8.9", False)],
)
def test_a_uv_too_old_for_our_lock_is_not_used(line: str, enough: bool) -> None:
    """A uv on PATH is taken only from the first version that reads our lock file; versions are compared as numbers."""
    assert is_new_enough(line) is enough
