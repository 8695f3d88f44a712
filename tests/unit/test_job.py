from askonce.job import JobId, Routing, new_job_id, new_job_ids, new_owner
from askonce.key import identify
from askonce.spec import JobSpec

SPEC = JobSpec(name="rates.fetch", version="3", shown=("n",))


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


def test_many_ids_are_drawn_at_once_and_differ():
    ids = new_job_ids(1000)

    assert 1000 == len(set(ids))
    assert {len(new_job_id())} == {len(drawn) for drawn in ids}
    assert [] == new_job_ids(0)


def test_job_with_another_routing_is_the_same_otherwise():
    job = identify(SPEC, {"n": 1}, "acme", "one", run="night")._replace(admitted_at=7)

    assert job.sent_by(Routing("orders", 3)) == job._replace(routing=Routing("orders", 3))
