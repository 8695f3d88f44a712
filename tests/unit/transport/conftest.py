import ssl
import subprocess

import pytest
from pydantic import SecretStr

from settings.environment import Settings
from tasks.providers.http import HttpLookup
from tasks.providers.openai.model import LanguageModel
from tests.deadlines import stretched
from tests.servers.by_hand import ByHand
from tests.unit.transport.calls import BODIES, LONG, MOST, Verdict


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "LLM_API",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def serve():
    """Start a server of a script."""
    servers = []

    def start(script, **options):
        servers.append(ByHand(script, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(params=BODIES)
def service(request):
    return request.param


@pytest.fixture
def calling():
    """Return a function that makes calls to a service at an address, all with one client."""
    clients = []

    def connect(service, url, quiet_seconds=LONG, text="hello"):
        # A test waits for all of it.
        seconds = min(stretched(quiet_seconds), MOST) if quiet_seconds < LONG else LONG
        if service == "customers":
            lookup = HttpLookup(Settings(_env_file=None, customer_api_url=url, customer_api_timeout=seconds))
            clients.append(lookup._client)
            return lambda: lookup.fetch("customers", "7")
        chosen = Settings(
            _env_file=None, openai_api_key=SecretStr("k"), openai_base_url=f"{url}/v1", llm_timeout=seconds
        )
        model = LanguageModel(chosen)
        clients.append(model._client)
        return lambda: model.ask(instructions="judge", text=text, schema=Verdict).value

    yield connect
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """A certificate for localhost that signs itself."""
    folder = tmp_path_factory.mktemp("papers")
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    files = ("-addext", "subjectAltName=DNS:localhost", "-keyout", "key", "-out", "crt")
    command = ["openssl", *new, *files]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=stretched(60))
    return folder


@pytest.fixture
def server_tls(papers):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(papers / "crt", papers / "key")
    return tls


@pytest.fixture
def serve_tls(serve, server_tls):
    """Start a server of a script that speaks TLS; give its URL."""

    def start(script):
        return f"https://localhost:{serve(script, tls=server_tls).port}"

    return start
