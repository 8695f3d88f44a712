"""Starts a run whose bill is known before, asked about, and held."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Final

import click

from askonce.cli.exits import Exit, is_terminal
from askonce.cli.printed import echo, to_json
from producer.inputs import InputInvalid, Reading, columns_of, open_inputs
from producer.run.chosen import chosen_rows
from producer.run.errors import LimitImpossible
from producer.run.limits import NoBudget
from producer.run.opened import look
from producer.run.output import files_of
from producer.run.start import Start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from producer.bill.estimate import Range
    from producer.bill.meter import Meter
    from producer.client import Client
    from producer.inputs import Inputs
    from producer.progress.reporter import Progress
    from producer.run.forecast import Forecast
    from producer.run.limits import Budget
    from producer.run.piloted import Piloted
    from producer.run.report import Report
    from producer.run.wanted import Wanted

#: Dollars above which a person at a terminal is asked.
_CONFIRM_ABOVE: Final = 10.0


class Billed:
    """One ``submit``."""

    def __init__(self, wanted: Wanted, progress: Progress) -> None:
        """Do what is *wanted*."""
        self._wanted, self._progress = wanted, progress

    def go(self) -> Exit:
        """Look at the bill where somebody wants to know it, and start the run; errors as ``Start.go``.

        Raises:
            LimitImpossible: names the option.
        """
        budget = self._budget()
        forecast = self._forecast() if self._is_asked_about else None
        if forecast is not None and (self._wanted.dry_run or not self._is_agreed(forecast)):
            return self._end_with(forecast)
        cost = forecast.estimate.cost_usd if forecast is not None else None
        if self._wanted.pilot is not None and forecast is not None:
            from producer.run.piloted import Piloted

            pilot = Piloted(forecast, self._called)
            code = self._pilot(pilot, budget)
            if code is not None:
                return code
            if pilot.last_row is not None:
                self._progress.start(self._wanted.task, self._wanted.inputs)
            # The pilot's rows are in the journal now.
            budget, cost = self._budget(), pilot.cost_of_rest or cost
        return self._start(budget, estimated=cost).go()

    @cached_property
    def client(self) -> Client:
        """The client of the configured servers."""
        from producer.console import open_client

        return open_client(self._wanted.task)

    @cached_property
    def inputs(self) -> Inputs:
        """The rows."""
        wanted, spec = self._wanted, self.client.specs[self._wanted.task]
        reading = Reading(
            format=wanted.format,
            columns=columns_of(wanted.columns),
            delimiter=wanted.delimiter,
            encoding=wanted.encoding,
            required=getattr(spec.input, "required", ()),
            fields=getattr(spec.input, "fields", ()),
        )
        found = open_inputs(wanted.inputs, reading, files_of(wanted.file) if wanted.file else ())
        if not found.replayable and (wanted.sample or wanted.pilot or wanted.dry_run):
            raise InputInvalid(
                found.names[0], "can be read only once: --sample, --pilot and --dry-run need files"
            )
        return found

    @cached_property
    def meter(self) -> Meter:
        """What measures rows, by the history in the store."""
        from producer.bill.meter import Meter
        from settings.environment import load_or_exit

        return Meter(self._wanted.task, load_or_exit(), self.client.store.tally.totals())

    def _budget(self) -> Budget:
        wanted = self._wanted
        if wanted.max_cost is None and wanted.max_calls is None:
            return NoBudget()
        from producer.bill.budget import Budget as Lines
        from producer.run.purse import Purse

        if wanted.max_cost is not None and (why := self.meter.why_unbounded()):
            raise LimitImpossible(option="--max-cost", reason=why)
        try:
            lines = Lines(max_cost=wanted.max_cost, max_calls=wanted.max_calls)
        except ValueError as exc:
            raise LimitImpossible(option="--max-cost", reason=str(exc)) from None
        return Purse(lines, self.meter, self.client.specs[wanted.task])

    @property
    def _is_asked_about(self) -> bool:
        wanted = self._wanted
        if wanted.dry_run or wanted.pilot is not None:
            return True
        # A person at a terminal. A task without a model has no price: it is asked about by request only.
        asks = self.inputs.replayable and not wanted.yes and _is_at_terminal()
        return asks and (bool(self.client.specs[wanted.task].model) or wanted.confirm_above is not None)

    def _forecast(self) -> Forecast:
        from producer.run.forecast import Forecast

        wanted, spec = self._wanted, self.client.specs[self._wanted.task]
        again, has_end = look(wanted, self.inputs, spec.version)
        forecast = Forecast(
            spec=spec,
            store=self.client.store,
            meter=self.meter,
            tenant=wanted.tenant,
            again=again,
            has_end=has_end,
            pilot=(wanted.pilot or 0) - len(self._called),
            called=self._called,
        )
        forecast.look(chosen_rows(self.inputs, wanted))
        return forecast

    def _is_agreed(self, forecast: Forecast) -> bool:
        """Return whether the run goes on: a person is asked where it may cost much."""
        if self._wanted.yes or self._wanted.pilot or not self._may_cost_much(forecast.estimate.cost_usd):
            return True
        return self._ask(forecast.lines)

    def _ask(self, lines: Iterable[str]) -> bool:
        """Show *lines* and ask; return False where nobody is there to answer."""
        asks = _is_at_terminal()
        # Nobody can answer a question whose numbers --quiet leaves out.
        show = self._progress.error if asks and self._wanted.quiet else self._progress.note
        for line in lines:
            show(line)
        return asks and click.confirm("Go on?", err=True)

    def _may_cost_much(self, cost: Range | None) -> bool:
        most = self._wanted.confirm_above
        if cost is None:
            # It may be above any line; who draws none is not asked at each run of a server without a price.
            return most is not None
        return cost.high > (_CONFIRM_ABOVE if most is None else float(most))

    def _end_with(self, forecast: Forecast) -> Exit:
        """Show the forecast; the run was only to be looked at, or was not agreed to."""
        if not self._wanted.dry_run:
            self._progress.note("nothing was enqueued: --yes goes on without the question")
            return Exit.LIMIT
        self._progress.finish()
        for line in [to_json(forecast.to_dict())] if self._wanted.as_json else forecast.lines:
            echo(line)
        return Exit.OK if not forecast.invalid else Exit.FAILED

    @cached_property
    def _called(self) -> dict[int, float | None]:
        """What the pilot's rows cost that earlier starts called."""
        if self._wanted.pilot is None:
            return {}
        from producer.run.piloted import called_before

        return called_before(self._wanted)

    def _pilot(self, pilot: Piloted, budget: Budget) -> Exit | None:
        """Call the first rows, show what the others will cost, and ask; return None where the run goes on."""
        from producer.progress.reporter import new_progress

        if pilot.last_row is not None:
            code = self._start(budget, last_row=pilot.last_row, on_report=pilot.add).go()
            if code not in (Exit.OK, Exit.FAILED):
                return code
            self._progress = new_progress(sys.stderr, shown=self._wanted.shown, quiet=self._wanted.quiet)
        if not pilot.rest:
            return None
        if self._wanted.yes:
            self._progress.note(str(pilot))
            return None
        if self._ask([str(pilot)]):
            return None
        self._progress.note("stopped after the pilot: the same command with --yes, without --pilot, goes on")
        return Exit.LIMIT

    def _start(
        self,
        budget: Budget,
        *,
        estimated: Range | None = None,
        last_row: int | None = None,
        on_report: Callable[[Report], object] = lambda _report: None,
    ) -> Start:
        return Start(
            wanted=self._wanted,
            client=self.client,
            inputs=self.inputs,
            progress=self._progress,
            budget=budget,
            last_row=last_row,
            on_report=on_report,
            estimated=estimated,
        )


def _is_at_terminal() -> bool:
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)
