"""A run of a task whose stale answers are served while they are made anew."""

from dataclasses import replace

from tests.unit.starts import Start


def test_row_whose_answer_is_stale_waits_for_the_job_that_it_pays_for(scene):
    spec = replace(scene.spec, soft_ttl=100.0, hard_ttl=1000.0, stale_while_revalidate=500.0)
    scene.use(scene.store, spec)
    scene.answered()
    scene.clock.advance(200.0)
    submit = Start(scene)

    submit([dict(scene.question)], waits=False)

    assert ["admitted"] == [report.status for report in submit.reports]
