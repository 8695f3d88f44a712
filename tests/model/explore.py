"""Walks through every history within a budget, breadth first: the first fault found is the shortest."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

from tests.model.actors import steps
from tests.model.world import World


@dataclass(frozen=True, slots=True)
class Explored:
    """How many states there are, by which steps, and by invariant the shortest history that breaks it."""

    states: int
    steps: frozenset[str]
    broken: dict[str, list[str]]

    def __str__(self):
        lines = [f"{self.states} states"]
        for invariant, history in self.broken.items():
            lines += [f"{invariant} is broken after {len(history)} steps:"]
            lines += [f"  {number}. {step}" for number, step in enumerate(history, 1)]
        return "\n".join(lines)


@dataclass(slots=True)
class _Graph:
    #: How each state was reached first.
    came: dict[World, tuple[World, str] | None] = field(default_factory=dict)
    #: By state, those from which it is reached without a choice or a fault.
    fair_before: dict[World, list[World]] = field(default_factory=lambda: defaultdict(list))

    def history(self, world):
        names = []
        while self.came[world] is not None:
            world, name = self.came[world]
            names.append(name)
        return names[::-1]


def explore(rules, budget, until=None):
    """Check every history; stop at the first that breaks the invariant *until*."""
    first = World(budget)
    graph, todo, found, names = _Graph({first: None}), deque([first]), {}, set()
    while todo and until not in found:
        world = todo.popleft()
        if world.broken:
            for invariant in world.broken:
                found.setdefault(invariant, world)
            # The steps after it are judged again, else one fault would hide all others.
            world = _forgiven(graph, world)
        for name, after, fair in steps(world, rules):
            names.add(name)
            if fair:
                graph.fair_before[after].append(world)
            if after not in graph.came:
                graph.came[after] = (world, name)
                todo.append(after)
    if until in (None, "I8") and (stuck := _stuck(graph)) is not None:
        found["I8"] = stuck
    broken = {name: graph.history(world) for name, world in sorted(found.items())}
    return Explored(len(graph.came), frozenset(names), broken)


def _forgiven(graph, world):
    clean = world._replace(broken=frozenset())
    graph.came.setdefault(clean, graph.came[world])
    graph.fair_before[world].append(clean)
    graph.fair_before[clean].append(world)
    return clean


def _stuck(graph):
    """Return the first state from which the waiter is never answered, if there is one."""
    answered = {world for world in graph.came if not world.waiting}
    todo = list(answered)
    while todo:
        for before in graph.fair_before.get(todo.pop(), ()):
            if before not in answered:
                answered.add(before)
                todo.append(before)
    return next((world for world in graph.came if world not in answered), None)
