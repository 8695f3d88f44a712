"""Guards at the edges to Celery, each with a test that notices."""

from tests.mutants.mutant import Mutant

CELERY = "askonce/adapters/celery/"
OPTIONS = "tests/integration/test_celery_options.py::"
CONTROL_FLOW = "tests/integration/test_celery_control_flow.py::"

#: What a user passes, and what a body raises.
OF_EDGES = (
    Mutant(
        "a message's tenant is dropped",
        f"{CELERY}received.py",
        'tenant, run = options.get("tenant", ""), options.get("run", "")',
        'tenant, run = "", options.get("run", "")',
        f"{OPTIONS}test_tenant_is_the_answers_for_every_way[group]",
    ),
    Mutant(
        "send_task drops our options",
        f"{CELERY}one_message.py",
        "{**hidden, **with_own_options(options)}",
        "{**hidden, **options}",
        f"{OPTIONS}test_run_is_in_the_record_for_every_way[send_task]",
    ),
    Mutant(
        "an unknown option is dropped",
        f"{CELERY}ways.py",
        "            raise OptionInvalid(option=name,",
        "            continue\n            raise OptionInvalid(option=name,",
        f"{OPTIONS}test_option_that_no_way_honours_is_refused_by_name[tennant]",
    ),
    Mutant(
        "a message that comes again pays again",
        f"{CELERY}received.py",
        "    if ago is None or not (",
        "    if True or not (",
        f"{OPTIONS}test_message_that_is_delivered_again_does_not_pay_again[force]",
    ),
    Mutant(
        "items of starmap touch no record",
        f"{CELERY}received.py",
        "if caller is None or caller.name not in BY_ITEM or is_in_a_body_of(caller):",
        "if True:",
        f"{OPTIONS}test_plain_call_is_one_job_for_every_way[starmap]",
    ),
    Mutant(
        "the body of an item calls through the record",
        f"{CELERY}received.py",
        " or is_in_a_body_of(caller):",
        ":",
        "tests/integration/test_celery_nesting.py::test_body_of_an_item_calls_other_tasks_as_functions",
    ),
    Mutant(
        "chunks drop what set gave them",
        f"{CELERY}canvas.py",
        "            part.set(**self.options)\n",
        "            part.set()\n",
        f"{OPTIONS}test_tenant_is_the_answers_for_every_way[chunks, set]",
    ),
    Mutant(
        "eager items drop our options",
        f"{CELERY}canvas.py",
        "return apply(*arguments, **with_own_options(options))",
        "return apply(*arguments, **options)",
        "tests/unit/test_eager_tasks.py::test_eager_call_with_a_tenant_is_the_tenants[starmap]",
    ),
    Mutant(
        "an exception without retry is attempted again",
        f"{CELERY}control_flow.py",
        "if (run.spent or isinstance(error, unwanted)) and",
        "if run.spent and",
        f"{CONTROL_FLOW}test_exception_that_autoretry_leaves_out_is_the_last",
    ),
    Mutant(
        "a lost tenant is no tenant",
        f"{CELERY}header.py",
        'return value is not None or name == "tenant"',
        "return value is not None",
        f"{OPTIONS}test_tenant_that_its_caller_lost_is_refused[signature]",
    ),
    Mutant(
        "a message that attaches drops its limits",
        f"{CELERY}received.py",
        '"limits": limits != (None, None)}',
        '"limits": False}',
        f"{OPTIONS}test_duplicate_names_what_the_job_did_not_take_for_every_way[chord]",
    ),
    Mutant(
        "a worker admits what it should reject",
        "askonce/inline.py",
        "            _refuse_duplicate(claim, decision)\n",
        "",
        "tests/unit/test_inline.py::test_queued_job_of_another_caller_refuses_a_call_that_wants_no_duplicate",
    ),
    Mutant(
        "a retry has the attempts of the spec",
        f"{CELERY}control_flow.py",
        "MOST_ATTEMPTS if max_retries is None else max_retries + 1",
        "None",
        f"{CONTROL_FLOW}test_retries_are_counted_beyond_the_attempts_of_the_spec",
    ),
    Mutant(
        "a retry has no end",
        f"{CELERY}control_flow.py",
        "if max_retries is not None and self.attempt > max_retries:",
        "if False:",
        f"{CONTROL_FLOW}test_body_may_answer_when_no_retry_is_left",
    ),
    Mutant(
        "Ignore makes another attempt",
        f"{CELERY}control_flow.py",
        "raise Cancelled(IGNORED) from None",
        "raise Transient(IGNORED) from None",
        f"{CONTROL_FLOW}test_ignore_and_reject_end_the_job_without_an_answer[error0-ignored]",
    ),
    Mutant(
        "a job that is put back uses an attempt",
        "askonce/execute.py",
        "            return self._give_back(run, postponed.reason,",
        "            return self._fail(run, postponed) or self._give_back(run, postponed.reason,",
        f"{CONTROL_FLOW}test_reject_with_requeue_puts_the_job_back_without_an_attempt",
    ),
    Mutant(
        "a route gets no payload",
        f"{CELERY}sender.py",
        "(options, job.task, (), row, ",
        "(options, job.task, (), dict.fromkeys(row, 0), ",
        "tests/integration/test_celery_sender.py::test_route_that_is_a_function_gets_the_payload[one step]",
    ),
)
