"""Loaded into a worker with -I: its first job is lost on its way to the pool, as by a defect of Celery."""

from itertools import count

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.thread import TaskPool

jobs = count()


def losing(apply):
    return lambda self, *args, **options: apply(self, *args, **options) if next(jobs) else None


TaskPool.on_apply = losing(TaskPool.on_apply)
AsynPool.apply_async = losing(AsynPool.apply_async)
