import pytest

from settings.unknown import check_names


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def lines(**environment):
    return [str(found) for found in check_names(environment)]


def test_variable_that_is_one_letter_off_is_named_with_the_one_that_was_meant():
    [line] = lines(CACHE_TTL_HOUR="24")

    assert "warning: settings: nothing reads CACHE_TTL_HOUR; did you mean CACHE_TTL_HOURS?" == line


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("OPENAI_API_KEYS", "OPENAI_API_KEY"),
        ("OPENAI_BASE_URI", "OPENAI_BASE_URL"),
        ("REDIS_URI", "REDIS_URL"),
        ("REDIS_PSASWORD", "REDIS_PASSWORD"),
        ("llm_timeouts", "LLM_TIMEOUT"),
    ],
)
def test_slip_in_the_name_of_a_variable_that_others_share_is_named_too(slip, meant):
    [line] = lines(**{slip: "x"})

    assert line.endswith(f"nothing reads {slip}; did you mean {meant}?")


@pytest.mark.parametrize("name", ["ASKONCE_QUEUE", "LLM_TEMPERATURE", "CACHE_TTL_WEATHER"])
def test_variable_with_a_prefix_of_ours_that_nothing_reads_is_named(name):
    assert [f"warning: settings: nothing reads {name}; docs/configuration.md has all variables"] == lines(
        **{name: "x"}
    )


def test_variables_of_others_are_left_alone():
    assert [] == lines(
        PATH="", OPENAI_ORG_ID="o", REDIS_VERSION="7", CELERY_APP="a", HTTPS_PROXY="p", ENV_FILE="", CI="1"
    )


def test_variable_in_the_file_is_named_and_its_value_is_not(tmp_path):
    (tmp_path / ".env").write_text("JOB_LEASES=hunter2\nJOB_LEASE=30\n")

    assert ["warning: settings: nothing reads JOB_LEASES; did you mean JOB_LEASE?"] == lines()
    assert [] == lines(ENV_FILE="")


def test_every_variable_of_the_project_is_known():
    assert [] == lines(cache_ttl_hours="1", ASKONCE_NAMESPACE="a", ASKONCE_TAG="1", LLM_API="chat")
