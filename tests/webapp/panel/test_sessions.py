"""Whose session hash is whose."""

from __future__ import annotations

from webapp.panel.sessions import SessionOwners


def test_the_first_user_owns_a_session() -> None:
    owners = SessionOwners()
    assert owners.claim("abc", 1)
    assert owners.claim("abc", 1)
    assert not owners.claim("abc", 2)
    assert owners.claim("abd", 2)


def test_a_session_expires_after_its_last_use() -> None:
    now = [0.0]
    owners = SessionOwners(lifetime_seconds=10, clock=lambda: now[0])
    owners.claim("abc", 1)
    now[0] = 9
    assert owners.claim("abc", 1)
    now[0] = 18
    assert not owners.claim("abc", 2)
    now[0] = 20
    assert owners.claim("abc", 2)


def test_it_never_holds_more_than_it_may() -> None:
    owners = SessionOwners(at_most=3)
    for number in range(10):
        assert owners.claim(f"s{number}", number)
    assert len(owners._owners) == 3
