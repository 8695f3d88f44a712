"""The worker's app without what keeps payloads and passwords from logs and monitors; a test notices it."""

from celery.worker.request import Request

from askonce.adapters.celery import letters, request, watched
from askonce.adapters.celery.verdict import Verdict
from settings import logs

logs._CHATTY = ()
letters._NoBodies.filter = lambda _self, _record: True
watched.filter_hidden_settings = lambda settings: settings


def _shown(self, message, *, headers=None, **options):
    given = message.headers if headers is None else headers
    args, kwargs, _ = message.payload
    Request.__init__(
        self, message, headers={**given, "argsrepr": repr(args), "kwargsrepr": repr(kwargs)}, **options
    )


request.HiddenRequest.__init__ = _shown
Verdict.__repr__ = lambda self: repr(self.result)

from worker.app import app  # noqa: E402, F401  # what is above has to come first
