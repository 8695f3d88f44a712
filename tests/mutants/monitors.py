"""Guards of what monitors see, and of Flower's settings."""

from tests.mutants.mutant import Mutant

FLOWER = "tests/unit/test_flower_config.py::"
GROUPED = "tests/unit/test_grouped_events.py::"
KEYS = "tests/unit/test_key.py::"
MONITORS = "tests/integration/test_monitors.py::"
REPR = "tests/unit/test_kwargsrepr.py::"
VERDICT = "tests/unit/test_verdict.py::"

OF_MONITORS = (
    Mutant(
        "a text that got into an id is shown",
        "askonce/key.py",
        "len(text) <= _SHOWN_MAX and text.isprintable()",
        "text.isprintable()",
        f"{KEYS}test_shown_value_that_is_no_id_is_left_out",
    ),
    Mutant(
        "an id moves the cursor of a terminal",
        "askonce/key.py",
        "len(text) <= _SHOWN_MAX and text.isprintable()",
        "len(text) <= _SHOWN_MAX",
        f"{KEYS}test_shown_value_that_is_no_id_is_left_out",
    ),
    Mutant(
        "an id of another form is shown when its job is sent again",
        "askonce/key.py",
        'value if value.isascii() else normalize("NFC", value)',
        "value",
        f"{KEYS}test_shown_value_has_the_form_that_its_record_has",
    ),
    Mutant(
        "what another program wrote is shown",
        "askonce/adapters/celery/kwargsrepr.py",
        "_form(shown).fullmatch(text) is not None",
        'text.startswith("{")',
        f"{REPR}test_what_another_sender_wrote_is_replaced_by_the_ids_of_its_payload",
    ),
    Mutant(
        "what is shown has no bound",
        "askonce/adapters/celery/kwargsrepr.py",
        "    if len(fields) <= _LONGEST - 2:\n",
        "    if fields:\n",
        f"{REPR}test_long_names_leave_room_for_as_many_ids_as_fit",
    ),
    Mutant(
        "a job that is sent again has no ids",
        "askonce/adapters/celery/app.py",
        "with_shown(spec, lost.job) if spec else lost.job",
        "lost.job",
        f"{MONITORS}test_monitors_show_the_ids_of_a_job_whose_message_is_sent_again",
    ),
    Mutant(
        "a parked job that runs again is shown as parked",
        "askonce/adapters/celery/states.py",
        "PARKED: _ranks[states.RETRY], ",
        "",
        f"{MONITORS}test_parked_job_is_shown_as_parked_until_it_runs_again",
    ),
    Mutant(
        "a dead letter is shown as any failure",
        "askonce/adapters/celery/states.py",
        ", QUARANTINED: _ranks[states.FAILURE]",
        "",
        f"{MONITORS}test_quarantined_job_is_shown_as_such_with_the_command_that_replays_it",
    ),
    Mutant(
        "a hit is shown as paid",
        "askonce/execution.py",
        "result.job != job.id or is_older",
        "is_older",
        f"{VERDICT}test_answer_of_another_job_cost_this_one_nothing",
    ),
    Mutant(
        "one more message of a job is shown as unpaid",
        "askonce/execution.py",
        "spend=_caused_by(job, result))",
        "spend=NOTHING)",
        f"{VERDICT}test_one_more_message_of_a_job_shows_what_the_job_cost",
    ),
    Mutant(
        "the answer before a failed job is shown as its own",
        "askonce/execution.py",
        "result.job != job.id or is_older",
        "result.job != job.id",
        "tests/unit/test_execute.py::test_answer_of_an_earlier_job_costs_the_job_that_failed_after_it_nothing",
    ),
    Mutant(
        "what other jobs paid is shown as this job's cost",
        "askonce/adapters/celery/verdict.py",
        "result, result.spend.own)",
        "result, result.spend)",
        f"{VERDICT}test_cost_is_what_the_job_itself_caused",
    ),
    Mutant(
        "Flower is open to other machines",
        "deploy/flower/flowerconfig.py",
        " or _is_loopback(options.address)):",
        " or options.address is not None):",
        f"{FLOWER}test_flower_refuses_to_be_open_on_anything_but_loopback",
    ),
    Mutant(
        "Flower may change what it shows",
        "deploy/flower/flowerconfig.py",
        "read_only = True",
        "read_only = False",
        f"{FLOWER}test_flower_is_read_only_and_on_this_machine_alone",
    ),
    Mutant(
        "the last events of a worker are lost",
        "worker/events.py",
        """        self._send()

    def _send_later""",
        """        self._is_waiting = False

    def _send_later""",
        f"{GROUPED}test_last_events_are_sent_before_the_connection_is_closed",
    ),
    Mutant(
        "an event waits for a loop that has ended",
        "worker/events.py",
        "self._start_a_thread if ends else _wait",
        "self._ask_the_loop if ends else _wait",
        f"{GROUPED}test_events_of_a_worker_that_ends_need_no_loop",
    ),
    Mutant(
        "the loop sends on a connection that is lost",
        "worker/events.py",
        "self._start_a_thread if ends else _wait",
        "self._start_a_thread if ends else self._ask_the_loop",
        f"{GROUPED}test_lost_connection_is_not_tried",
    ),
    Mutant(
        "events are lost with the connection",
        "worker/events.py",
        "        if lost:\n",
        "        if None:\n",
        f"{GROUPED}test_events_are_sent_on_a_new_connection",
    ),
    Mutant(
        "a second group of events is never sent",
        "worker/events.py",
        "        self._is_waiting = False\n        self._consumer",
        "        self._consumer",
        f"{GROUPED}test_event_of_a_later_moment_is_sent_too",
    ),
    Mutant(
        "a thread sends events while the loop reads",
        "worker/events.py",
        "buffer_limit = sys.maxsize",
        "buffer_limit = 24",
        f"{GROUPED}test_thread_that_brings_an_event_never_sends_it",
    ),
)
