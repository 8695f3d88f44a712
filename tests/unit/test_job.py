from askonce.job import JobId, new_job_id, new_owner
from askonce.key import identify
from askonce.spec import JobSpec

SPEC = JobSpec(name="rates.fetch", version="3")


def test_job_draws_an_id_where_its_caller_gives_none():
    ids = {identify(SPEC, {}).id for _ in range(100)} | {new_job_id() for _ in range(100)}

    assert len(ids) == 200
    assert identify(SPEC, {}, job_id="mine").id == "mine"


def test_owner_is_drawn_for_each_run_and_names_its_holder():
    owners = {new_owner("worker-1:7") for _ in range(100)}

    assert len(owners) == 100
    assert all(owner.startswith("worker-1:7:") for owner in owners)


def test_job_under_another_id_is_the_same_work():
    job = identify(SPEC, {"n": 1}, "acme", "one")

    other = job.under(JobId("two"))

    assert (other.id, job.id) == ("two", "one")
    assert other.under(JobId("one")) == job
