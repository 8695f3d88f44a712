from socket import gaierror

import pytest
from celery import Celery

from askonce.adapters.memory import MemoryStore
from settings import checks
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


@pytest.fixture
def services(monkeypatch):
    """Return what is found of the stand-ins, where their host has an address and where it has none."""

    def look(*, known):
        def find(host, _port):
            assert "stand-ins" == host
            if not known:
                raise gaierror(-2, "Name or service not known")

        monkeypatch.setattr(checks, "getaddrinfo", find)
        settings = Settings(
            _env_file=None,
            ASKONCE_NAMESPACE="demo",
            openai_base_url="http://stand-ins:8080/v1",
            customer_api_url="http://stand-ins:8080",
        )
        app = Celery("shop", broker="memory://", set_as_current=False)
        found = check(settings, [], MemoryStore(), app)
        return [str(each) for each in found if each.subject in ("services", "model")]

    return look


def test_worker_without_services_and_without_stand_ins_is_refused(services):
    [line] = services(known=False)

    assert line.startswith(
        "error: services: no service is configured, and no stand-in runs; copy .env.example"
    )


def test_worker_of_the_demo_says_that_its_answers_are_invented(services):
    assert ["warning: services: stand-ins invent all answers: this is the demo"] == services(known=True)
