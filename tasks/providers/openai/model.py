"""Calls the language model once and returns an answer, or raises a failure with its price.

    ask ──> send ──> book usage ──> ending? ──> fit ──> Answer
             │                        │           │
             │                        │           └─ malformed_answer, answer_does_not_fit, empty_answer
             │                        └─ refused, truncated, unfinished
             └─ timeout, connection_lost, rate_limited, ...

Usage is booked before the answer is checked: a truncated or refused answer was paid like a good one. One
that cannot be used is asked for a second time, and never a third (``twice.py``). The client itself retries
nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.answer import Answer
from askonce.errors import CallFailed, Configuration
from settings.environment import OPENAI_URL, SettingsInvalid, is_azure, is_openai
from tasks.prices import Prices
from tasks.providers.allowance import parse_allowance
from tasks.providers.failures import with_spending
from tasks.providers.openai.failures import failure_of, refusal_in
from tasks.providers.openai.fit import fit
from tasks.providers.openai.form import AnswerForm
from tasks.providers.openai.pace import job_of_attempt
from tasks.providers.openai.reply import is_page, read
from tasks.providers.openai.twice import Note, ask_twice, is_unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2
    import openai
    from pydantic import BaseModel

    from askonce.attempt import Attempt
    from askonce.pace import Turn
    from askonce.pace.turn import End
    from settings.environment import Settings
    from tasks.providers.openai.form import Wanted
    from tasks.providers.openai.pace import ModelPace

#: Seconds to connect. Only the answer may take longer.
_CONNECT_SECONDS: Final = 5.0
#: Replies that were paid, and that no other question changes: each of them says who sends them.
_NO_ANSWERS: Final = frozenset({"reply_too_large", "reply_encoding_unsupported"})
#: What a server of one's own gets for a key where none is set.
_NO_KEY: Final = "no-key"


class Question(NamedTuple):
    """What one call asks; *limit* is the most output tokens, None for the service's own."""

    instructions: str
    text: str
    background: bool
    limit: int | None


class LanguageModel:
    """A client of one service and model. Build one for each process, after the fork."""

    def __init__(
        self,
        settings: Settings,
        *,
        client: openai.OpenAI | None = None,
        form: AnswerForm | None = None,
        pace: ModelPace | None = None,
    ) -> None:
        """Build the client from *settings* unless one is given; *form* knows which form of answer to ask for.

        Without a *pace*, calls begin at once.

        ``ask`` reports a missing key: the worker itself must start, so that it can report it.
        """
        self.name, self.timeout = settings.openai_model, settings.llm_timeout
        self._is_openai = is_openai(settings.openai_base_url)
        self._has_new_limit = self._is_openai or is_azure(settings.openai_base_url)
        self._flavour = settings.llm_flavour()
        self._prices = Prices(settings)
        #: The most output tokens of any answer; None for the service's own limit.
        self.most_output = settings.llm_max_output_tokens
        self._pace, self._form = pace, form or AnswerForm(pace)
        self._client = client or _build_client(settings)

    def ask(
        self, *, instructions: str, text: str, schema: type[BaseModel], attempt: Attempt | None = None
    ) -> Answer:
        """Return the answer as JSON data of the given *schema*, with its usage and cost.

        An *attempt* notes an answer that cannot be used: all attempts of its job pay for two of them at most.

        Raises:
            CallFailed: its data has ``usage`` and ``cost_usd`` if the service answered.
        """
        note = Note(attempt, self.name, instructions, text, schema.__name__) if attempt else None

        def once(limit: int | None) -> Answer:
            return self.counted(
                schema, lambda: self.judge(self.send(instructions, text, schema, limit=limit), schema)
            )

        return ask_twice(once, note=note, most=self.most_output)

    def counted(self, schema: type[BaseModel], ask: Callable[[], Answer]) -> Answer:
        """Return one answer, as *ask* does; where none in this form can be used, all jobs of it wait.

        Raises:
            CallFailed: as *ask* raises it.
        """
        if self._pace is None:
            return ask()
        answers = self._pace.answers(schema.__name__)
        turn = answers.begin(job_of_attempt())
        try:
            answer = ask()
        except CallFailed as failure:
            if failure.reason in _NO_ANSWERS:
                answers.end(turn, "misconfigured", failure.reason)
            else:
                end: End = "misconfigured" if is_unusable(failure) else "unknown"
                answers.end(turn, end, "answers_unusable")
            raise
        except BaseException:
            answers.end(turn, "unknown")
            raise
        answers.end(turn, "answered")
        return answer

    def send(
        self,
        instructions: str,
        text: str,
        schema: type[BaseModel],
        *,
        background: bool = False,
        limit: int | None = None,
    ) -> bytes:
        """Return the body of the service's reply; in the *background* it may hold an id only.

        *limit* is the most output tokens, within ``most_output``; None for that, or for the service's own.

        Raises:
            CallFailed: the service sent no body.
        """
        limits = [each for each in (limit, self.most_output) if each is not None]
        question = Question(instructions, text, background, min(limits, default=None))

        def asked(turn: Turn | None = None) -> bytes:
            return self._form.ask(schema, partial(self._asked, question, turn))

        if self._pace is None:
            return asked()
        look = self._pace.begin(schema.__name__)
        return self._pace.calls.call(job_of_attempt(), asked, look=look)

    def retrieve(self, response: str, seconds: float) -> bytes:
        """Return the body of a response as it is now; wait *seconds* for the reply.

        Raises:
            CallFailed: the service sent no body.
        """
        return self._call(
            lambda client: (
                client.responses.with_raw_response.retrieve(response, timeout=seconds).http_response
            )
        )

    def list_models(self, seconds: float) -> bytes:
        """Return the body of the service's list of models, which costs nothing; wait *seconds* for it.

        Raises:
            CallFailed: the service sent none.
        """
        return self._call(lambda client: client.models.with_raw_response.list(timeout=seconds).http_response)

    def close(self) -> None:
        """Close the connections; a worker keeps them for as long as it lives."""
        if self._client is not None:
            self._client.close()

    def told(self, failure: CallFailed) -> CallFailed:
        """Return what *failure* comes to, which no call met in its turn; let all calls know of it."""
        if self._pace is None:
            return failure

        def meet(_turn: Turn) -> None:
            raise failure

        try:
            self._pace.calls.call(job_of_attempt(), meet)
        except CallFailed as paced:
            failure = paced
        return failure

    def judge(self, content: bytes, schema: type[BaseModel]) -> Answer:
        """Return the answer in a body.

        Raises:
            CallFailed: no answer fits the *schema*; with its usage and cost.
        """
        reply = read(content, self._flavour, self._prices)
        found = reply.failure or fit(schema, reply.text)
        if isinstance(found, CallFailed):
            raise with_spending(found, usage=reply.usage, cost_usd=reply.cost_usd)
        return Answer(value=found, cost_usd=reply.cost_usd, usage=reply.usage)

    def _asked(self, question: Question, turn: Turn | None, wanted: Wanted) -> bytes:
        """Return the body of the reply to one request, in the *wanted* form."""
        send = self._send_chat if self._flavour == "chat" else self._send_responses
        content = self._call(partial(send, question, wanted), turn)
        if is_page(content):
            # No model answered, and none will at this address: all calls must learn of it, as of a 404.
            raise Configuration("not_an_api")
        if (refusal := refusal_in(content)) is not None:
            raise refusal
        return content

    def _call(self, send: Callable[[openai.OpenAI], httpx2.Response], turn: Turn | None = None) -> bytes:
        if self._client is None:
            raise Configuration("no_api_key")
        import openai

        try:
            response = send(self._client)
        except openai.APIError as exc:
            failure = failure_of(exc)
            if turn is not None and isinstance(exc, openai.APIStatusError):
                turn.allowance = parse_allowance(exc.response.headers)
        else:
            if turn is not None:
                turn.allowance = parse_allowance(response.headers)
            return response.content
        # Outside the handler: a chained vendor error would hold the request and the provider's text.
        raise failure

    def _send_responses(self, question: Question, wanted: Wanted, client: openai.OpenAI) -> httpx2.Response:
        from openai import omit

        raw = client.responses.with_raw_response.create(
            model=self.name,
            instructions=question.instructions,
            input=wanted.input(question.text),
            # By default the service keeps requests for a month at least. Only a kept response can be made
            # in the background.
            store=question.background,
            background=True if question.background else omit,
            max_output_tokens=omit if question.limit is None else question.limit,
            text={"format": wanted.for_responses()},
        )
        return raw.http_response

    def _send_chat(self, question: Question, wanted: Wanted, client: openai.OpenAI) -> httpx2.Response:
        from openai import omit

        most = omit if question.limit is None else question.limit
        raw = client.chat.completions.with_raw_response.create(
            model=self.name,
            messages=[
                {"role": "system", "content": wanted.instructions(question.instructions)},
                {"role": "user", "content": question.text},
            ],
            # Compatible services may refuse unknown fields.
            store=False if self._is_openai else omit,
            # OpenAI's models that reason refuse the old name, and other servers may not know the new one.
            max_completion_tokens=most if self._has_new_limit else omit,
            max_tokens=omit if self._has_new_limit else most,
            response_format=wanted.for_chat(),
        )
        return raw.http_response


def _build_client(settings: Settings) -> openai.OpenAI | None:
    """Return the client; None where there is no key, nor a file that may get one."""
    key: Callable[[], str] | str
    if settings.openai_api_key is None and settings.openai_api_key_file is not None:
        # Asked for each call: a new key in the file needs no restart.
        key = partial(_key_in, settings)
    else:
        try:
            key = _key_in(settings)
        except Configuration:
            return None
    import openai

    from tasks.providers.transport import MODEL_REPLY, new_client

    timeout = openai.Timeout(settings.llm_timeout, connect=min(_CONNECT_SECONDS, settings.llm_timeout))
    return openai.OpenAI(
        api_key=key,
        base_url=settings.openai_base_url or OPENAI_URL,
        timeout=timeout,
        max_retries=0,
        http_client=new_client(timeout=timeout, largest_reply=MODEL_REPLY),
    )


def _key_in(settings: Settings) -> str:
    """Return the key as it is now.

    Raises:
        Configuration: there is none that can be sent.
    """
    try:
        key = (settings.openai_key() or "").strip()
    except SettingsInvalid:
        raise Configuration("no_api_key") from None
    if not key and not is_openai(settings.openai_base_url):
        # A server of one's own may ask for none, and the client sends none that is empty.
        return _NO_KEY
    # Another key cannot be a header, and the error about it would quote the key.
    if not key or not (key.isascii() and key.isprintable()):
        raise Configuration("no_api_key")
    return key
