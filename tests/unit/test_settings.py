import ssl
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings import environment as settings
from settings.environment import EXIT_CONFIG, Settings, SettingsInvalid, load, load_or_exit

MARKER = "hunter2-of-ana-souza"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch, tmp_path):
    for name in names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("ENV_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    load.cache_clear()
    yield
    load.cache_clear()


def names():
    return [(field.alias or name).upper() for name, field in Settings.model_fields.items()]


@pytest.fixture
def read(monkeypatch):
    """Read an environment of these variables."""

    def read(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return load()

    return read


def test_environment_without_a_variable_is_usable(read):
    found = read()

    assert found.store_url() == found.broker_url() == "redis://127.0.0.1:6379/0"
    assert found.openai_key() is None
    assert found.namespace == "jobs"


GOOD = {
    "REDIS_PORT": ("6380", 6380),
    "REDIS_DB": ("3", 3),
    "REDIS_SSL": ("true", True),
    "ASKONCE_NAMESPACE": ("shop-2.eu_west", "shop-2.eu_west"),
    "JOB_LEASE": ("2.5", 2.5),
    "JOB_QUEUE_DEADLINE": ("10", 10.0),
    "REAP_INTERVAL": ("0.5", 0.5),
    "CACHE_TTL_HOURS": ("0.5", 0.5),
    "CACHE_TTL_DEFAULT": ("60", 60.0),
    "CACHE_TTL_KEYWORDS": ("3600", 3600.0),
    "CACHE_TTL_METRICS": ("600", 600.0),
    "CACHE_TTL_TRENDS": ("600", 600.0),
    "CACHE_TTL_LOCAL_INFO": ("86400", 86400.0),
    "CACHE_TTL_FORECAST": ("0.5", 0.5),
    "CACHE_TTL_RANKINGS": ("30", 30.0),
    "CACHE_COMPRESSION_THRESHOLD": ("2048", 2048),
    "OPENAI_BASE_URL": ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1"),
    "OPENAI_MODEL": ("gpt-6-sol", "gpt-6-sol"),
    "LLM_API": ("chat", "chat"),
    "LLM_BACKGROUND": ("true", True),
    "LLM_TIMEOUT": ("30", 30.0),
    "LLM_MAX_INPUT_CHARS": ("1000", 1000),
    "LLM_MAX_OUTPUT_TOKENS": ("2000", 2000),
    "LLM_MAX_REQUESTS_PER_MINUTE": ("0.5", 0.5),
    "CUSTOMER_API_URL": ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    "CUSTOMER_API_TIMEOUT": ("2", 2.0),
    "REDIS_HOST": ("redis.internal", "redis.internal"),
    "REDIS_USERNAME": ("worker", "worker"),
    "HEALTH_FOLDER": ("/tmp/health", Path("/tmp/health")),
    "ORDERS_FILE": ("files/orders.jsonl", Path("files/orders.jsonl")),
}


@pytest.mark.parametrize("name", GOOD)
def test_variable_is_read_under_its_name(read, name):
    text, value = GOOD[name]

    found = read(**{name: text})

    assert getattr(found, name.lower().removeprefix("askonce_")) == value


BAD = {
    "REDIS_PORT": ["0", "65536", "-1", "a"],
    "REDIS_DB": ["-1", "x"],
    "REDIS_SSL": ["perhaps"],
    "ASKONCE_NAMESPACE": ["with space", "{brace}", "a:b", "n" * 41],
    "JOB_LEASE": ["0", "-1", "0.0001", "soon", "nan", "inf", "3601"],
    "JOB_QUEUE_DEADLINE": ["0", "x"],
    "REAP_INTERVAL": ["0", "x", "inf"],
    "CACHE_TTL_HOURS": ["0", "-2", "a day", "inf", "8761"],
    "CACHE_TTL_DEFAULT": ["0", "-1", "an hour", "nan", "inf", "31536001"],
    "CACHE_TTL_LOCAL_INFO": ["0"],
    "CACHE_COMPRESSION_THRESHOLD": ["0", "1.5"],
    "LLM_API": ["completions"],
    "LLM_BACKGROUND": ["perhaps"],
    "LLM_TIMEOUT": ["0", "x", "inf", "3001"],
    "LLM_MAX_INPUT_CHARS": ["0", "x"],
    "LLM_MAX_OUTPUT_TOKENS": ["0", "-1", "1.5", "x"],
    "LLM_MAX_REQUESTS_PER_MINUTE": ["0", "-1", "nan", "inf", "x"],
    "CUSTOMER_API_TIMEOUT": ["0", "x", "inf"],
    "CUSTOMER_API_URL": ["ftp://h", "h:80", "http://", "http://:80", "http://h:0", "http://h:70000"],
    "OPENAI_BASE_URL": ["h/v1", "http://my..host/v1", "http://h:port/v1", "http://[::1/v1"],
    "REDIS_URL": ["http://h", "unix:x"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_bad_value_is_refused_by_the_variables_name(read, name, text):
    with pytest.raises(SettingsInvalid, match=f"^{name}: "):
        read(**{name: text})


@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_socks_proxy_is_refused_by_name_where_its_package_is_absent(read, name):
    with pytest.raises(SettingsInvalid, match=f"^{name}: .*socksio"):
        read(**{name: f"socks5://ana:{MARKER}@127.0.0.1:9"})


@pytest.mark.parametrize("name", sorted(BAD))
def test_refused_value_is_not_repeated(read, name):
    with pytest.raises(SettingsInvalid) as caught:
        read(**{name: f"{MARKER}!"})

    assert MARKER not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["REDIS_URL", "CELERY_BROKER_URL"])
@pytest.mark.parametrize("bare", ["/", "#", "?"])
@pytest.mark.parametrize("password", [f"{MARKER}{{}}x", f"123{{}}{MARKER}"])
def test_unencoded_password_is_refused_and_not_repeated(read, name, bare, password):
    with pytest.raises(SettingsInvalid, match=f"^{name}: .*percent-encoded") as caught:
        read(**{name: f"redis://ana:{password.format(bare)}@host:6379/0"})

    assert MARKER not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["rediss://ana:p%2Fw%40@host/0", "redis://:p@w@host:6379/0", "redis://[::1]:6379"]
)
def test_url_with_an_encoded_password_is_used_as_it_is(read, url):
    assert url == read(REDIS_URL=url).store_url() == read().broker_url()


@pytest.mark.parametrize("form", [{"LLM_API": "chat"}, {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}])
def test_background_is_refused_with_the_chat_form(read, form):
    with pytest.raises(SettingsInvalid, match=r"^LLM_BACKGROUND: .*set LLM_API=responses$"):
        read(LLM_BACKGROUND="true", **form)


def test_background_is_allowed_with_the_responses_form(read):
    found = read(LLM_BACKGROUND="true", LLM_API="responses", OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    assert (found.llm_background, found.llm_flavour()) == (True, "responses")


def test_every_bad_variable_is_named_at_once(read):
    with pytest.raises(SettingsInvalid, match=r"REDIS_PORT: .*; JOB_LEASE: "):
        read(REDIS_PORT="a", JOB_LEASE="0")


def test_what_kubernetes_sets_for_a_service_named_redis_is_told_in_one_line(monkeypatch, capsys):
    # As in a pod: the URL is set, and would win.
    monkeypatch.setenv("REDIS_URL", "redis://10.0.0.1:6379/0")
    monkeypatch.setenv("REDIS_PORT", f"tcp://{MARKER}:6379")

    with pytest.raises(SystemExit) as caught:
        load_or_exit()

    told = capsys.readouterr().err
    assert (EXIT_CONFIG, 1) == (caught.value.code, told.count("\n"))
    assert told.startswith("bad configuration: REDIS_PORT: ")
    assert "Kubernetes sets for a Service named redis" in told
    assert "enableServiceLinks: false" in told
    assert MARKER not in told


def test_empty_variable_counts_as_absent(read):
    assert read(REDIS_PORT="", OPENAI_MODEL="").redis_port == 6379


def test_bad_configuration_ends_the_process_with_one_line(monkeypatch, capsys):
    monkeypatch.setenv("JOB_LEASE", "0")

    with pytest.raises(SystemExit) as caught:
        load_or_exit()

    assert caught.value.code == EXIT_CONFIG == 78
    assert capsys.readouterr().err.startswith("bad configuration: JOB_LEASE: ")


def test_environment_is_read_once(read, monkeypatch):
    first = read(JOB_LEASE="7")
    monkeypatch.setenv("JOB_LEASE", "8")

    assert load() is first


def test_url_wins_over_its_parts(read):
    found = read(REDIS_URL="redis://10.0.0.1:7/2", REDIS_HOST="elsewhere", REDIS_PORT="9")

    assert found.store_url() == "redis://10.0.0.1:7/2"


def test_url_is_made_of_its_parts(read):
    found = read(REDIS_HOST="h", REDIS_PORT="7", REDIS_DB="2", REDIS_PASSWORD="p@ss:/w?d#%", REDIS_SSL="1")

    assert found.store_url() == "rediss://:p%40ss%3A%2Fw%3Fd%23%25@h:7/2"


@given(password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_password_survives_the_url(password):
    url = urlsplit(Settings(redis_password=password, redis_host="h").store_url())

    assert unquote(url.password) == password
    assert (url.hostname, url.port, url.path) == ("h", 6379, "/0")


def test_broker_is_the_store_unless_it_is_set(read):
    found = read(REDIS_URL="redis://10.0.0.1:7/2", CELERY_BROKER_URL="amqp://10.0.0.2")

    assert found.broker_url() == "amqp://10.0.0.2"


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("unix:///run/r.sock?db=3", "redis+socket:///run/r.sock?virtual_host=3"),
        ("unix:///run/r.sock", "redis+socket:///run/r.sock?virtual_host=0"),
    ],
)
def test_broker_on_a_unix_socket_has_kombus_form(read, url, broker):
    assert read(REDIS_URL=url).broker_url() == broker


def test_key_is_read_from_its_file_without_the_newline(read, tmp_path):
    (tmp_path / "key").write_text("sk-1\n")

    assert read(OPENAI_API_KEY_FILE=str(tmp_path / "key")).openai_key() == "sk-1"


def test_key_in_the_environment_wins_over_the_file(read, tmp_path):
    (tmp_path / "key").write_text("sk-1\n")

    assert read(OPENAI_API_KEY="sk-2", OPENAI_API_KEY_FILE=str(tmp_path / "key")).openai_key() == "sk-2"


def test_user_and_password_of_the_server_come_from_their_places(read, tmp_path):
    (tmp_path / "password").write_text("p@ss\n")

    found = read(REDIS_HOST="h", REDIS_USERNAME="worker", REDIS_PASSWORD_FILE=str(tmp_path / "password"))

    assert "redis://worker:p%40ss@h:6379/0" == found.store_url() == found.broker_url()
    assert "p@ss" not in repr(found)


def test_password_in_the_environment_wins_over_the_file(read, tmp_path):
    (tmp_path / "password").write_text("of-the-file")

    found = read(REDIS_PASSWORD="p", REDIS_PASSWORD_FILE=str(tmp_path / "password"))

    assert "redis://:p@127.0.0.1:6379/0" == found.store_url()


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_file_without_a_password_is_refused_by_the_variables_name(read, tmp_path, content):
    if content is not None:
        (tmp_path / "password").write_bytes(content)

    with pytest.raises(
        SettingsInvalid, match=r"^REDIS_PASSWORD_FILE: .*a readable file that holds a password$"
    ):
        read(REDIS_PASSWORD_FILE=str(tmp_path / "password"))


STAND_INS = {
    "ASKONCE_NAMESPACE": "demo",
    "OPENAI_BASE_URL": "http://stand-ins:8080/v1",
    "CUSTOMER_API_URL": "http://stand-ins:8080",
}


def test_stand_ins_answer_for_their_own_namespace(read):
    assert "demo" == read(**STAND_INS).namespace


@pytest.mark.parametrize(
    "mixed",
    [
        {"ASKONCE_NAMESPACE": "jobs"},
        {"OPENAI_BASE_URL": "https://llm.test/v1", "CUSTOMER_API_URL": "http://127.0.0.1:9"},
        {"OPENAI_BASE_URL": "https://api.openai.com/v1"},
        {"CUSTOMER_API_URL": "http://127.0.0.1:9"},
        {"OPENAI_API_KEY": MARKER},
        {"OPENAI_API_KEY_FILE": "key"},
    ],
    ids=",".join,
)
def test_invented_answers_are_never_kept_beside_real_ones(read, mixed):
    with pytest.raises(
        SettingsInvalid, match=r"^[A-Z_, ]+: the namespace demo is for the stand-ins"
    ) as refused:
        read(**{**STAND_INS, **mixed})

    assert MARKER not in str(refused.value)


@pytest.mark.parametrize("name", ["REDIS_URL", "REDIS_PASSWORD", "CELERY_BROKER_URL", "OPENAI_API_KEY"])
def test_secret_is_not_shown(read, name):
    found = read(**{name: f"redis://:{MARKER}@h"})

    assert MARKER not in repr(found)
    assert MARKER not in str(found)
    assert MARKER not in str(found.model_dump())


def test_settings_are_frozen(read):
    with pytest.raises(settings.ValidationError):
        read().job_lease = 1.0


def test_file_of_the_working_directory_is_read_too(read, tmp_path):
    (tmp_path / ".env").write_text("JOB_LEASE=9\nOTHER=1\n")

    assert read().job_lease == 9.0
    load.cache_clear()
    assert read(ENV_FILE="").job_lease == 30.0


SENTINELS = "sentinel://:p%40ss@one:26379;sentinel://two:26380/3?master_name=main"


def test_sentinels_have_kombus_form_as_broker(read):
    found = read(REDIS_URL=SENTINELS)

    assert SENTINELS == found.store_url()
    assert "sentinel://:p%40ss@one:26379/3;sentinel://:p%40ss@two:26380/3" == found.broker_url()
    assert ("main", False) == (found.broker_sentinels().master_name, found.broker_sentinels().is_secure)


def test_sentinels_over_tls_have_kombus_form(read):
    url = f"{SENTINELS.replace('sentinel:', 'rediss+sentinel:')}&sentinel_username=s&sentinel_password=q%40"

    found = read(REDIS_URL=url)

    assert "sentinel://:p%40ss@one:26379/3;sentinel://:p%40ss@two:26380/3" == found.broker_url()
    assert found.store_tls() == found.broker_tls() == {"ssl_cert_reqs": "required"}
    login = {"username": "s", "password": "q@"}
    assert {**login, "ssl": True, "a": "b"} == found.broker_sentinels().sentinel_options({"a": "b"})


def test_rabbitmq_tls_options_have_its_clients_names(read, tmp_path):
    (tmp_path / "ca").touch()

    found = read(CELERY_BROKER_URL="amqps://h//", REDIS_SSL_CA_CERTS=str(tmp_path / "ca"))

    assert {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": str(tmp_path / "ca")} == found.broker_tls()
    assert {} == found.store_tls()


def test_single_broker_has_no_master_name(read):
    found = read(REDIS_URL="redis+cluster://one:7000,two:7001", CELERY_BROKER_URL="redis://three:6379/0")

    assert ("redis://three:6379/0", None) == (found.broker_url(), found.broker_sentinels())


WRONG_SERVERS = {
    "cluster without a broker": {"REDIS_URL": "redis+cluster://one:7000"},
    "cluster as broker": {"CELERY_BROKER_URL": "redis+cluster://one:7000"},
    "sentinels without a master name": {"REDIS_URL": "sentinel://one:26379/0"},
    "bare password": {"REDIS_URL": f"redis+cluster://:a/{MARKER}@one:7000", "CELERY_BROKER_URL": "redis://b"},
    "bare password of sentinels": {"REDIS_URL": f"sentinel://:a?{MARKER}@one:26379/0?master_name=main"},
    "database in a cluster": {"REDIS_URL": "redis+cluster://one:7000/1", "CELERY_BROKER_URL": "redis://b"},
}


@pytest.mark.parametrize("wrong", WRONG_SERVERS)
def test_bad_server_url_ends_the_process_without_secrets(monkeypatch, capsys, wrong):
    for name, value in WRONG_SERVERS[wrong].items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as ended:
        load_or_exit()

    assert EXIT_CONFIG == ended.value.code
    shown = capsys.readouterr().err
    assert 1 == shown.count("\n")
    assert MARKER not in shown
