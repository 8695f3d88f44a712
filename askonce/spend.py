"""What calls cost, as numbers that can be kept and added. One that cannot be kept is unknown, never 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from operator import index
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from askonce.errors import CallFailed

#: Whole numbers up to here are exact in JSON and in Lua.
_MOST: Final = 2**53 - 1
_MICROS: Final = 1_000_000
#: So many counts are kept, each with a name of so many characters: the record keeps them beside the answer.
_COUNTS_KEPT, _NAME_KEPT = 100, 100
#: The caller's own decimal context may round to a few digits.
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What calls cost. None is unknown, never 0."""

    #: The provider's counts, such as ``input_tokens``.
    usage: Mapping[str, int] = field(default_factory=dict)
    #: US dollars.
    cost_usd: float | None = None
    #: The provider may have charged for a call that returned no answer.
    maybe_billed: bool = False
    #: How many calls that were: the provider replied to each of them.
    calls: int = 1
    #: Calls beside these for which the provider may have charged although no reply came.
    in_doubt: int = 0
    #: What of it the job itself caused to be paid, where other jobs may have paid the rest; None: all of it.
    caused: Spend | None = None
    #: The job that called inline, where the last of these calls was made in another job's attempt.
    by: str = ""

    @property
    def own(self) -> Spend:
        """What the job itself caused to be paid."""
        return self if self.caused is None else self.caused

    @property
    def tokens(self) -> int | None:
        """Tokens that were read and written; None is unknown. Other counts are parts of these."""
        if not self.calls:
            return 0
        read, written = self.usage.get("input_tokens"), self.usage.get("output_tokens")
        return None if read is None or written is None else read + written

    @property
    def shared_usd(self) -> float | None:
        """What other jobs paid of it, in US dollars; None is unknown."""
        if self.calls == self.own.calls:
            return 0.0
        if self.cost_usd is None or self.own.cost_usd is None:
            return None
        return float(_EXACT.subtract(Decimal(repr(self.cost_usd)), Decimal(repr(self.own.cost_usd))))

    @property
    def micro_usd(self) -> int | None:
        """The cost in whole millionths of a dollar, rounded to the nearest: sums of them are exact."""
        return _to_micros(self.cost_usd)

    @property
    def known(self) -> dict[str, object]:
        """The fields of an event: usage, cost and ``maybe_billed``, where they are known.

        What made no call shows no cost: a whole may have parts that cost, in records of their own.
        """
        cost = self.cost_usd if self.calls else None
        shown = {"usage": self.usage, "cost_usd": cost, "maybe_billed": self.maybe_billed}
        return {
            name: value
            for name, value in shown.items()
            if value or (name == "cost_usd" and value is not None)
        }


#: What no call cost.
NOTHING: Final = Spend(calls=0, cost_usd=0.0)


class Checked(NamedTuple):
    """What is known of a spend, and the names of its fields that cannot be kept."""

    spend: Spend
    unknown: tuple[str, ...] = ()


def check(
    usage: object,
    cost_usd: object,
    *,
    maybe_billed: object = False,
    calls: object = 1,
    in_doubt: object = 0,
) -> Checked:
    """Keep the counts that are whole numbers from 0 to 2**53 - 1, and a cost that is 0 or more; never raises.

    A body may bring anything, and its answer is paid. A cost may be a Decimal. None is unknown.
    """
    cost = _to_cost(cost_usd)
    counts, unknown = _to_counts(usage)
    if cost is None and cost_usd is not None:
        unknown = ["cost_usd", *unknown]
    numbers = {"calls": _to_count(calls), "in_doubt": _to_count(in_doubt)}
    unknown += [name for name, number in numbers.items() if number is None]
    spend = Spend(
        usage=counts,
        cost_usd=cost,
        maybe_billed=maybe_billed is True,
        calls=1 if numbers["calls"] is None else numbers["calls"],
        in_doubt=numbers["in_doubt"] or 0,
    )
    return Checked(spend, tuple(dict.fromkeys(unknown)))


class Costs(NamedTuple):
    """What all attempts of a job cost, what the last of them paid, and the names of what is unknown."""

    made: Spend
    paid: Spend
    unknown: tuple[str, ...] = ()


def costs(own: Checked, paid: object, earlier: Spend, caused: object = None) -> Costs:
    """Return the costs at the end of an attempt that cost *own*, after attempts that cost *earlier*.

    *paid* is what its own calls cost, as ``Answer.paid``. With it, *own* is the whole of what the job cost:
    parts of that are in other records, and earlier attempts of the job have read or made them too. *caused*
    is as ``Answer.caused``.
    """
    if paid is None:
        return Costs(total([earlier, own.spend]), own.spend, own.unknown)
    spent, unknown = _check_again("paid", paid)
    made, unknown = _without_doubt(own.spend), (*own.unknown, *unknown)
    if caused is not None:
        share, more = _check_again("caused", caused)
        made, unknown = replace(made, caused=_without_doubt(share)), (*unknown, *more)
    return Costs(made, spent, unknown)


def _check_again(name: str, found: object) -> Checked:
    """Keep what can be kept of a spend that a body made itself."""
    if not isinstance(found, Spend):
        return Checked(Spend(), (name,))
    spend, unknown = check(
        found.usage,
        found.cost_usd,
        maybe_billed=found.maybe_billed,
        calls=found.calls,
        in_doubt=found.in_doubt,
    )
    return Checked(spend, tuple(f"{name}.{each}" for each in unknown))


def spend_of_failure(error: CallFailed) -> Checked:
    """Return what a call that failed cost, as its data has it.

    Without ``calls`` in the data it is one call where the provider reported its usage or its price. It is in
    doubt where the provider may have charged, and refused otherwise.
    """
    data = error.data
    replied = data.get("usage") is not None or data.get("cost_usd") is not None
    in_doubt = not replied and data.get("maybe_billed") is True
    return check(
        data.get("usage"),
        data.get("cost_usd"),
        maybe_billed=data.get("maybe_billed"),
        calls=data.get("calls", int(replied)),
        in_doubt=data.get("in_doubt", int(in_doubt)),
    )


def total(spends: Iterable[Spend]) -> Spend:
    """Return the sum of what was spent; a count or a price that one call lacks is unknown in the sum.

    A call in doubt lacks all of them.
    """
    paid = [_without_doubt(spend) for spend in spends if spend.calls or spend.in_doubt]
    if not paid:
        return NOTHING
    costs = [spend.cost_usd for spend in paid]
    is_shared = any(spend.caused is not None for spend in paid)
    common = [name for name in paid[0].usage if all(name in spend.usage for spend in paid)]
    return Spend(
        usage={name: sum(spend.usage[name] for spend in paid) for name in common},
        cost_usd=None if None in costs else _sum(cost for cost in costs if cost is not None),
        calls=sum(spend.calls for spend in paid),
        caused=total(spend.own for spend in paid) if is_shared else None,
    )


def to_fields(spend: Spend) -> dict[str, object]:
    """Return the form in which a record keeps *spend*."""
    fields: dict[str, object] = {"cost_usd": spend.cost_usd, "usage": dict(spend.usage)}
    if spend.calls != 1:
        fields["calls"] = spend.calls
    if spend.caused is not None:
        fields["caused"] = to_fields(spend.caused)
    if spend.by:
        fields["by"] = spend.by
    return fields


def of_fields(found: Mapping[str, object]) -> Spend:
    """Read what ``to_fields`` returned; a field of another type is unknown."""
    caused, by = found.get("caused"), found.get("by")
    share = _of_counts(caused) if isinstance(caused, Mapping) else None
    return replace(_of_counts(found), caused=share, by=by if isinstance(by, str) else "")


def _of_counts(found: Mapping[str, object]) -> Spend:
    return check(found.get("usage"), found.get("cost_usd"), calls=found.get("calls", 1)).spend


def _without_doubt(spend: Spend) -> Spend:
    """Return *spend* with its calls in doubt as calls of which nothing is known."""
    return Spend(calls=spend.calls + spend.in_doubt) if spend.in_doubt else spend


def _sum(costs: Iterable[float]) -> float:
    # Of the numbers that were meant: 0.1 and 0.2 are 0.3, not 0.30000000000000004.
    exact = Decimal(0)
    for cost in costs:
        exact = _EXACT.add(exact, Decimal(repr(cost)))
    return float(exact)


def _to_cost(cost: object) -> float | None:
    return (
        float(cost) + 0.0
        if isinstance(cost, int | float | Decimal) and _to_micros(cost) is not None
        else None
    )


def _to_micros(cost: object) -> int | None:
    if isinstance(cost, bool) or not isinstance(cost, int | float | Decimal):
        return None
    # The shortest text of a float is the number that was meant: 0.1, not 0.1000000000000000055.
    exact = Decimal(repr(float(cost))) if isinstance(cost, float) else Decimal(cost)
    if not exact.is_finite() or not 0 <= exact <= _MOST // _MICROS:
        return None
    return int(_EXACT.to_integral_value(_EXACT.multiply(exact, Decimal(_MICROS))))


def _to_counts(usage: object) -> tuple[dict[str, int], list[str]]:
    """Return the counts that can be kept, and the names of the others."""
    if usage is None:
        return {}, []
    try:
        items = [*dict(usage).items()] if isinstance(usage, Mapping) else None
    except Exception:  # noqa: BLE001  # a mapping of the body's own
        items = None
    if items is None:
        return {}, ["usage"]
    counts, unknown = dict[str, int](), list[str]()
    for name, count in items:
        text, number = _to_text(name), _to_count(count)
        if text is None or number is None or len(counts) == _COUNTS_KEPT:
            unknown.append(_shown(text))
        else:
            counts[text] = number
    return counts, unknown


def _to_count(count: object) -> int | None:
    try:
        # Also the whole numbers of other libraries, such as numpy; a bool is none.
        number = -1 if isinstance(count, bool) else index(cast("int", count))
    except Exception:  # noqa: BLE001  # a number of the body's own
        return None
    return int(number) if 0 <= number <= _MOST else None


def _to_text(name: object) -> str | None:
    if not isinstance(name, str) or len(name) > _NAME_KEPT:
        return None
    try:
        # A plain text, also of a subclass.
        return str.encode(name).decode()
    except UnicodeEncodeError:
        return None


def _shown(name: str | None) -> str:
    """Return the field of a count for an event; only a plain name is shown."""
    return f"usage.{name}" if name is not None and name.isidentifier() else "usage"
