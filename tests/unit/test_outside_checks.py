import pytest
from celery import Celery

from askonce.adapters.memory import MemoryStore
from settings.checks import check
from settings.environment import Settings

SECRET = "geheim-4711"


@pytest.fixture
def warnings():
    """Return what a worker warns of at its start, about a model at an address."""

    def look(url):
        app = Celery("shop", broker="memory://", set_as_current=False)
        found = check(Settings(_env_file=None, openai_base_url=url), [], MemoryStore(), app)
        return [each for each in found if each.subject == "model"]

    return look


@pytest.mark.parametrize(
    "url",
    [
        None,
        "https://llm.test/v1",
        "http://127.0.0.1:8080/v1",
        "http://127.9.9.9/v1",
        "http://[::1]:8080/v1",
        "http://localhost:8080/v1",
        "http://model.localhost/v1",
    ],
)
def test_model_that_nobody_can_overhear_has_no_warning(warnings, url):
    assert [] == warnings(url)


@pytest.mark.parametrize(
    "host",
    [
        "llm.test",
        "10.0.0.7:8080",
        "[fd00::7]:8080",
        "localhost.test",
        "127.0.0.1.test",
        "0.0.0.0:8080",
        "ollama",
        f"ana:{SECRET}@llm.test",
    ],
)
def test_model_without_tls_on_another_host_has_a_warning(warnings, host):
    [warning] = warnings(f"http://{host}/v1?key={SECRET}")

    assert ("warning", "tls") == (warning.severity, warning.name)
    assert "OPENAI_BASE_URL" in warning.cure
    assert SECRET not in str(warning)
