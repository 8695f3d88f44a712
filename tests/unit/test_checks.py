import pytest

from askonce.checks import Finding, joined, without_secrets

SECRET = "geheim-4711"
FULL = Finding(severity="warning", subject="store", name="memory", text="is full", cure="raise maxmemory")


def test_finding_is_one_line_with_its_cure_last():
    fine = Finding(severity="ok", subject="store", name="eviction", text="maxmemory-policy is noeviction")

    assert "warning: store: is full; raise maxmemory" == str(FULL)
    assert "ok: store: maxmemory-policy is noeviction" == str(fine)


def test_finding_about_both_servers_is_one_line_in_order():
    first = Finding(severity="ok", subject="store", name="version", text="is Redis 8.2")
    other = Finding(severity="ok", subject="broker", name="version", text="is Redis 7.4")
    same = Finding(
        severity="warning", subject="broker", name="memory", text="is full", cure="raise maxmemory"
    )

    lines = [str(found) for found in joined([first, FULL, other, same])]

    assert [
        "ok: store: is Redis 8.2",
        "warning: store and broker: is full; raise maxmemory",
        "ok: broker: is Redis 7.4",
    ] == lines


SHOWN = {
    f"redis://ana:{SECRET}@host:6379/0": "redis://host:6379/0",
    f"rediss://:{SECRET}@host/0?password={SECRET}": "rediss://host/0",
    f"redis+socket://:{SECRET}@/run/s?virtual_host=0": "redis+socket:///run/s",
    f"sentinel://:{SECRET}@a:1;sentinel://:{SECRET}@b:2": "sentinel://a:1;sentinel://b:2",
    f"redis://:4711/{SECRET}@host:6379/0": "redis://...",
    f"redis://:4711#{SECRET}@host:6379/0": "redis://...",
    f"redis://{SECRET}:x/0": "redis://...",
    "amqp://host//shop": "amqp://host//shop",
}


@pytest.mark.parametrize("url", SHOWN)
def test_url_is_shown_without_possible_secrets(url):
    assert SHOWN[url] == without_secrets(url)
    assert SECRET not in without_secrets(url)
    assert "4711" not in without_secrets(url)
