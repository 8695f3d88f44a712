import pytest

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("option", ["-v", "--verbose"])
def test_verbose_shows_each_event_on_stderr(idle_machine, producer, rows_file, new_order, no_worker, option):
    path = rows_file(new_order())

    told = producer(idle_machine, option, "submit", "orders.enrich", path, "--json")

    assert 0 == told.code
    assert "admitted" == told.report["status"]
    [connected, event, warning] = told.problems
    assert "INFO store.connected server=127.0.0.1:" in connected
    assert no_worker in warning
    assert f"INFO job.admitted task=orders.enrich key={told.report['key'][:16]} job=" in event
    assert "1 row: 1 admitted" == told.total


def test_events_are_not_shown_without_verbose(idle_machine, producer, rows_file, new_order, no_worker):
    path = rows_file(new_order())

    told = producer(idle_machine, "submit", "orders.enrich", path)

    warning = f"warning: workers: {no_worker}; start one"
    assert (0, [warning], "1 row: 1 admitted") == (told.code, told.problems, told.total)


def test_warning_is_not_shown_without_verbose(idle_machine, producer, rows_file, new_order):
    path, away = rows_file(new_order()), "redis://127.0.0.1:1/0"

    quiet = producer(idle_machine, "submit", "orders.enrich", path, REDIS_URL=away)
    loud = producer(idle_machine, "-v", "submit", "orders.enrich", path, REDIS_URL=away)

    assert (0, [], "1 row: 1 admitted") == (quiet.code, quiet.problems, quiet.total)
    assert "WARNING job.degraded task=orders.enrich" in loud.err
