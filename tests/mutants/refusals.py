"""Guards of what a refusal of a service leads to, each with a test that notices."""

from tests.mutants.mutant import Mutant

SIGNS = "tasks/providers/openai/signs.py"
REAL = "tests/unit/test_refusals.py::test_answer_of_a_real_service_has_its_meaning"
FORM = "tests/unit/test_answer_form.py::"
LATE = "tests/unit/test_late_refusals.py::"

#: What is paid twice, waits without end, or fails against the wrong payload when it breaks.
OF_REFUSALS = (
    Mutant(
        "a place that the service does not serve fails its payload",
        SIGNS,
        r'r"user location is not supported|this',
        'r"this',
        "tests/integration/test_answers_of_services.py::"
        "test_answer_means_what_the_file_says_and_is_called_as_often[400_location_gemini-chat]",
    ),
    Mutant(
        "a rate limit uses an attempt",
        "tasks/providers/failures.py",
        '429: (Postponed, "rate_limited"),',
        '429: (Transient, "rate_limited"),',
        f"{REAL}[openai 429]",
    ),
    Mutant(
        "what was paid waits, and is paid again",
        "tasks/providers/failures.py",
        "    failed = as_attempt(failed)\n    return type(failed)",
        "    return type(failed)",
        "tests/unit/test_provider_failures.py::test_spending_of_a_job_that_would_wait_is_an_attempt",
    ),
    Mutant(
        "a look-up waits although an order needs none",
        "tasks/providers/http.py",
        "    return as_attempt(from_status(response.status_code, retry_after=wish))",
        "    return from_status(response.status_code, retry_after=wish)",
        "tests/unit/test_provider_http.py::test_refusal_is_an_error_of_the_engine[429]",
    ),
    Mutant(
        "a request that left counts as never sent",
        "tasks/providers/connection.py",
        "httpx2.ConnectError() |",
        "httpx2.ConnectError() | httpx2.NetworkError() | httpx2.RemoteProtocolError() |",
        "tests/unit/test_broken_connections.py::test_model_that_takes_the_request_and_leaves_may_be_paid[False-1]",
    ),
    Mutant(
        "a service that is away uses an attempt",
        "tasks/providers/connection.py",
        "httpx2.ConnectError() | httpx2.ConnectTimeout()",
        "httpx2.ConnectTimeout()",
        "tests/unit/test_broken_connections.py::test_model_that_nobody_serves_uses_no_attempt",
    ),
    Mutant(
        "a wrong address fails its payload",
        "tasks/providers/openai/failures.py",
        "one_address=not is_reading",
        "one_address=False",
        f"{REAL}[404 of fastapi]",
    ),
    Mutant(
        "an error of the server costs nothing",
        "tasks/providers/failures.py",
        '"server_error", "gateway_gave_up", "malformed_answer", "truncated"}',
        '"gateway_gave_up", "malformed_answer", "truncated"}',
        f"{REAL}[500 after a whole generation]",
    ),
    Mutant(
        "gemini's rate limit is an account without credit",
        SIGNS,
        "^(?!.*(?:gemini|vertex|ai\\.google|resource_exhausted)).*exceeded",
        "exceeded",
        f"{REAL}[gemini 429]",
    ),
    Mutant(
        "a wish is kept as it came",
        "askonce/retry.py",
        "wish_of(error) or SHORTEST_WISH",
        "error.retry_after or SHORTEST_WISH",
        "tests/unit/test_postponed.py::test_job_given_back_rests_from_a_second_to_a_day[nan-1.0]",
    ),
    Mutant(
        "an endpoint that is not there fails its payload",
        "tasks/providers/openai/failures.py",
        "if said.words.startswith(_NO_ENDPOINT):",
        "if False:",
        f"{LATE}test_endpoint_that_is_not_there_may_be_told_in_a_reply_of_success",
    ),
    Mutant(
        "a response that is gone waits for a model",
        "tasks/providers/openai/failures.py",
        "None if is_reading and status == _NOT_FOUND else meaning_of(status, said)",
        "meaning_of(status, said)",
        f"{LATE}test_response_that_is_gone_is_no_missing_model",
    ),
    Mutant(
        "a SOCKS proxy ends each call",
        "settings/environment.py",
        "if socks := socks_proxies(os.environ):",
        "if socks := []:",
        "tests/unit/test_settings.py::"
        "test_socks_proxy_is_refused_by_name_where_its_package_is_absent[ALL_PROXY]",
    ),
    Mutant(
        "a form that was refused is asked for again",
        "tasks/providers/openai/form.py",
        '        self._keep("json_object")\n',
        "",
        f"{FORM}test_form_falls_back_once_for_all_calls_of_a_client[chat-by_status]",
    ),
    Mutant(
        "any refusal changes the form",
        "tasks/providers/openai/form.py",
        'or failure.reason != "response_format_unsupported"',
        "or False",
        f"{FORM}test_form_stays_after_a_refusal_for_another_reason",
    ),
)
