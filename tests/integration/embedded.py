from contextlib import contextmanager

from celery._state import _set_task_join_will_block
from celery.contrib.testing.worker import start_worker


@contextmanager
def embedded_worker(app, **options):
    """Run a worker in this process, where Celery allows one at a time."""
    try:
        with start_worker(app, perform_ping_check=False, shutdown_timeout=30, **options):
            yield
    finally:
        # A worker that refused to start leaves its process forbidden to wait for results.
        _set_task_join_will_block(blocks=False)
