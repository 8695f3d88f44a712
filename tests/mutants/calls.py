"""Guards of the calls over HTTP, each with a test that notices."""

from tests.mutants.mutant import Mutant

TRANSPORT = "tasks/providers/transport.py"
BOUNDS = "tests/unit/transport/test_reply_bounds.py::"
CONNECTIONS = "tests/unit/transport/test_connections.py::"

#: What a service may send back.
OF_CALLS = (
    Mutant(
        "a call's time begins anew with each byte",
        "tasks/providers/deadline.py",
        "return min(float(self), self._ends - monotonic())",
        "return float(self)",
        f"{BOUNDS}test_call_ends_with_its_time_when_a_reply_trickles[customers-blank lines]",
    ),
    Mutant(
        "a write's time begins anew with each part",
        "tasks/providers/deadline.py",
        "_STEP: Final = 16_384",
        "_STEP: Final = 2**40",
        f"{BOUNDS}test_call_ends_with_its_time_when_a_request_trickles",
    ),
    Mutant(
        "connections heed no deadline",
        TRANSPORT,
        "        self._pool._network_backend = Connections()  # noqa: SLF001\n",
        "",
        f"{CONNECTIONS}test_call_over_tls_ends_with_its_time[model]",
    ),
    Mutant(
        "a record of TLS in TLS has its time anew with each byte",
        "tasks/providers/deadline.py",
        "            return _TlsInTls(self, ssl_context, server_hostname, timeout)\n",
        "            pass\n",
        f"{CONNECTIONS}test_record_of_tls_that_trickles_ends_with_the_call[customers]",
    ),
    Mutant(
        "a record after a reply is the next one",
        "tasks/providers/deadline.py",
        'if info == "is_readable" and (self._came.pending or self._tls.pending()):',
        "if False:",
        f"{CONNECTIONS}test_record_after_a_reply_is_not_taken_for_the_next_one[model]",
    ),
    Mutant(
        "TLS in a tunnel checks no name",
        "tasks/providers/deadline.py",
        "self._tls = context.wrap_bio(",
        "context.check_hostname = False\n        self._tls = context.wrap_bio(",
        f"{CONNECTIONS}test_service_of_another_name_is_refused_in_a_tunnel[model-https]",
    ),
    Mutant(
        "a packed reply is unpacked whole",
        TRANSPORT,
        "decoder.decompress(piece, self._limit - len(self.content) + 1)",
        "decoder.decompress(piece)",
        f"{BOUNDS}test_gzip_is_unpacked_as_far_as_a_reply_may_be[customers]",
    ),
    Mutant(
        "packed bytes are not counted",
        TRANSPORT,
        "max(self._received, len(self.content))",
        "len(self.content)",
        f"{BOUNDS}test_reply_without_an_end_is_too_large[customers-empty blocks]",
    ),
    Mutant(
        "the body of an error hides its status",
        TRANSPORT,
        "                if reply.is_success:\n                    raise",
        "                raise",
        f"{BOUNDS}test_status_of_an_error_counts_whatever_its_body_does[model-endless-401]",
    ),
    Mutant(
        "a charset chooses the decoder of an error",
        TRANSPORT,
        'value.partition(b";")[0] if name.lower() == b"content-type" else value',
        "value",
        f"{BOUNDS}test_status_of_an_error_counts_whatever_its_body_does[model-charset-503]",
    ),
    Mutant(
        "a deeply nested customer crashes its task",
        "tasks/providers/http.py",
        "except (ValueError, RecursionError):",
        "except ValueError:",
        f"{BOUNDS}test_deeply_nested_customer_is_malformed[a field]",
    ),
    Mutant(
        "a client keeps cookies",
        TRANSPORT,
        'b"set-cookie", ',
        "",
        f"{CONNECTIONS}test_cookie_of_a_reply_is_never_sent[model]",
    ),
    Mutant(
        "a client reads where a redirect leads",
        TRANSPORT,
        'b"location", ',
        "",
        f"{CONNECTIONS}test_redirect_to_no_address_is_the_same_failure[model]",
    ),
    Mutant(
        "bytes after a reply are the next one",
        TRANSPORT,
        "if _has_more(reply):",
        "if False:",
        f"{CONNECTIONS}test_what_comes_after_a_reply_is_not_taken_for_the_next_one[model]",
    ),
    Mutant(
        "a call waits for the connection of another",
        TRANSPORT,
        "max_connections=None",
        "max_connections=100",
        f"{CONNECTIONS}test_no_call_waits_for_the_connection_of_another[model]",
    ),
    Mutant(
        "proxies of the environment are passed over",
        TRANSPORT,
        "for pattern, proxy in proxies.items()",
        "for pattern, proxy in ()",
        f"{CONNECTIONS}test_proxy_of_the_environment_is_heeded_and_bounded[model]",
    ),
    Mutant(
        "an address that does not answer is the last one",
        "tasks/providers/deadline.py",
        "                failed = error",
        "                raise error",
        f"{CONNECTIONS}test_every_address_of_a_name_is_tried[model]",
    ),
)
