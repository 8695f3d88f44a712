"""Guards of what a model's answer is used for, and of what it costs, each with a test that notices."""

from tests.mutants.mutant import Mutant

OPENAI = "tasks/providers/openai/"
TWICE = "tests/unit/test_ask_twice.py::"
ATTEMPTS = "tests/unit/test_ask_twice_attempts.py::"
FIT = "tests/unit/test_fit.py::"
PRICES = "tests/unit/test_model_prices.py::"

OF_ANSWERS = (
    Mutant(
        "an answer that cannot be used twice is tried again",
        f"{OPENAI}twice.py",
        "failure = Permanent(failure.reason, usage",
        "failure = type(failure)(failure.reason, usage",
        f"{TWICE}test_answer_that_cannot_be_used_twice_is_the_end[malformed-chat-chat]",
    ),
    Mutant(
        "a cut answer is cut again",
        f"{OPENAI}twice.py",
        'if failure.reason != "truncated":',
        "if True:",
        f"{TWICE}test_cut_answer_is_asked_for_with_a_higher_limit[chat-http://127.0.0.1:1/v1-max_tokens]",
    ),
    Mutant(
        "a text that had fitted is too long beside a higher limit",
        f"{OPENAI}twice.py",
        '_NO_SUCH_LIMIT: Final = frozenset({"invalid_request", "context_length_exceeded"})',
        '_NO_SUCH_LIMIT: Final = frozenset({"invalid_request"})',
        f"{TWICE}test_higher_limit_that_is_refused_leaves_the_answer_truncated"
        "['max_tokens' is too large: maximum context length is 8192]",
    ),
    Mutant(
        "each attempt pays for two answers",
        f"{OPENAI}twice.py",
        "        note.write(first)\n",
        "",
        f"{TWICE}test_second_call_that_fails_is_made_again_without_the_first[malformed]",
    ),
    Mutant(
        "a second call outlasts its attempt",
        f"{OPENAI}twice.py",
        "if clock() - began > _AT_ONCE_WITHIN:",
        "if False:",
        f"{ATTEMPTS}test_second_call_after_a_long_first_one_is_the_next_attempts",
    ),
    Mutant(
        "the price of the first answer is forgotten",
        f"{OPENAI}twice.py",
        "    paid = total([first.spend, own] if own.calls else [first.spend])\n",
        "    paid = own\n",
        f"{TWICE}test_answer_that_cannot_be_used_twice_is_the_end[malformed-chat-chat]",
    ),
    Mutant(
        "a reason quotes a key of the answer",
        f"{OPENAI}fit.py",
        "step if step in known else '*'",
        "step",
        f"{FIT}test_misfit_names_the_field_and_the_kind_never_its_text[key of the answer's own]",
    ),
    Mutant(
        "a field too many loses the answer",
        f"{OPENAI}fit.py",
        '        schema.model_validate(found, extra="ignore")\n',
        "        schema.model_validate(found)\n",
        f"{FIT}test_fields_that_were_not_asked_for_are_dropped_at_any_depth",
    ),
    Mutant(
        "an absent field is null whatever the schema",
        f"{OPENAI}fit.py",
        'kind = "missing" if place in absent else error["type"]',
        'kind = error["type"]',
        f"{FIT}test_misfit_names_the_field_and_the_kind_never_its_text[absent]",
    ),
    Mutant(
        "a blank summary is kept",
        "tasks/meetings/prompts.py",
        "if is_blank(text):",
        "if not text:",
        f"{FIT}test_blank_summary_does_not_fit[MeetingSummary-<lambda>-summary-\\u200b\\u2060]",
    ),
    Mutant(
        "a server of one's own has OpenAI's prices",
        "tasks/prices.py",
        "tier) if self._is_listed else None",
        "tier) if True else None",
        f"{PRICES}test_own_server_has_no_list_price_whatever_its_models_name[http://127.0.0.1:8081/v1]",
    ),
    Mutant(
        "an odd count of tokens is free",
        f"{OPENAI}reply.py",
        "if is_whole else None",
        "if True else None",
        f"{PRICES}test_odd_count_loses_no_answer_and_makes_the_price_unknown"
        "[http://llm.internal:8000/v1-place2--1]",
    ),
    Mutant(
        "the log shows no cost below a thousandth",
        "askonce/log.py",
        'if name == "cost_usd" and',
        "if False and",
        "tests/unit/test_logs.py::test_cost_is_logged_in_plain_digits_that_show_it[0.000213-0.000213]",
    ),
    Mutant(
        "a row does not tell what it cost",
        "producer/run/report.py",
        "    _cost(report, spend.own if here else NOTHING)\n",
        "    _cost(report, NOTHING)\n",
        "tests/unit/test_run_cost.py::test_row_reports_what_its_answer_cost",
    ),
)
