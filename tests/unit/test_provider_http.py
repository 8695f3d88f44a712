import httpx2
import pytest

from askonce.errors import CallFailed, Configuration, Permanent, Transient
from settings.environment import Settings
from tasks.providers.http import HttpLookup

MARKER = "hunter2-of-ana-souza"


@pytest.fixture
def lookup():
    """Make a look-up whose service is a function of the request."""
    made = []

    def make(handler):
        lookup = HttpLookup(Settings(customer_api_url="http://127.0.0.1:9/api", customer_api_timeout=2.0))
        given = lookup._client
        lookup._client = httpx2.Client(
            base_url=given.base_url, timeout=given.timeout, transport=httpx2.MockTransport(handler)
        )
        given.close()
        made.append(lookup)
        return lookup

    yield make
    for each in made:
        each.close()


def raising(error):
    def handler(_request):
        raise error

    return handler


def test_object_at_the_path_is_returned(lookup):
    asked = []

    def handler(request):
        asked.append((request.method, str(request.url)))
        return httpx2.Response(200, json={"cliente_nome": "Ana Souza"})

    found = lookup(handler).fetch("customers", "7")

    assert found == {"cliente_nome": "Ana Souza"}
    assert asked == [("GET", "http://127.0.0.1:9/api/customers/7")]


@pytest.mark.parametrize(
    "name", ["../admin", "..", ".", "a/b", "a?x=1", "a#x", "a b", "é", "%2e%2e", "//evil"]
)
def test_id_stays_in_its_place_in_the_path(lookup, name):
    paths = []

    def handler(request):
        paths.append(request.url)
        return httpx2.Response(200, json={})

    lookup(handler).fetch("customers", name)

    [url] = paths
    raw = url.raw_path.decode()
    assert raw.startswith("/api/customers/")
    assert raw.count("/") == 3
    assert "?" not in raw
    assert url.host == "127.0.0.1"
    assert raw.rpartition("/")[2] not in ("", ".", "..")


STATUSES = {
    400: (Permanent, "invalid_request"),
    401: (Configuration, "invalid_key"),
    403: (Configuration, "no_permission"),
    404: (Permanent, "not_found"),
    405: (Permanent, "http_405"),
    422: (Permanent, "invalid_request"),
    429: (Transient, "rate_limited"),
    500: (Transient, "server_error"),
    503: (Transient, "unavailable"),
    529: (Transient, "overloaded"),
    302: (Configuration, "redirected"),
}


@pytest.mark.parametrize("status", STATUSES)
def test_refusal_is_an_error_of_the_engine(lookup, status):
    kind, reason = STATUSES[status]
    service = lookup(lambda _request: httpx2.Response(status, text=MARKER, headers={"location": "/x"}))

    with pytest.raises(CallFailed) as caught:
        service.fetch("customers", "7")

    assert (type(caught.value), caught.value.reason) == (kind, reason)
    assert MARKER not in str(caught.value)


@pytest.mark.parametrize("status", [429, 503])
def test_providers_wish_to_wait_is_kept(lookup, status):
    service = lookup(lambda _request: httpx2.Response(status, headers={"Retry-After": "7"}))

    with pytest.raises(Transient) as caught:
        service.fetch("customers", "7")

    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("kind", [httpx2.ReadTimeout, httpx2.WriteTimeout])
def test_timeout_is_tried_again_and_may_have_been_billed(lookup, kind):
    with pytest.raises(Transient) as caught:
        lookup(raising(kind(MARKER))).fetch("customers", "7")

    assert (caught.value.reason, caught.value.maybe_billed) == ("timeout", True)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (httpx2.ConnectError, "connect_failed"),
        (httpx2.ConnectTimeout, "connect_failed"),
        (httpx2.PoolTimeout, "connect_failed"),
        (httpx2.ReadError, "connection_lost"),
        (httpx2.RemoteProtocolError, "connection_lost"),
    ],
)
def test_broken_connection_is_tried_again_and_named_by_its_moment(lookup, kind, reason):
    with pytest.raises(Transient) as caught:
        lookup(raising(kind(MARKER))).fetch("customers", "7")

    assert caught.value.reason == reason
    assert MARKER not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\x00"])
def test_answer_that_is_no_json_is_tried_again(lookup, body):
    service = lookup(lambda _request: httpx2.Response(200, content=body))

    with pytest.raises(Transient, match="malformed_answer"):
        service.fetch("customers", "7")


@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"null", b"7"])
def test_answer_that_is_no_object_will_never_be_one(lookup, body):
    service = lookup(lambda _request: httpx2.Response(200, content=body))

    with pytest.raises(Permanent, match="malformed_answer"):
        service.fetch("customers", "7")


def test_redirect_is_not_followed(lookup):
    asked = []

    def handler(request):
        asked.append(str(request.url))
        return httpx2.Response(302, headers={"location": "http://10.0.0.1/"})

    with pytest.raises(Configuration):
        lookup(handler).fetch("customers", "7")

    assert len(asked) == 1


def test_call_has_the_timeout_of_the_settings():
    lookup = HttpLookup(Settings(customer_api_timeout=2.0))

    assert lookup._client.timeout == httpx2.Timeout(2.0)
    lookup.close()
