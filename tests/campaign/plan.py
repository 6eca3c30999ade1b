"""The decisions of a round, all of them made from its kind and its seed before anything starts."""

import math
import random
from dataclasses import dataclass, field

import mix

WRITERS = 12
SHARED_CHECKOUTS = 3
DEPLOYMENTS = ("billing", "catalog", "orders", "search")
# Each depends on the one before it.
COMPONENTS = ("database", "api", "web")
COMMITS = 6
SPARES = 20
CLOCKS = (30, -30, 7 * 60, -7 * 60, 2 * 60 * 60)
# When something happens, and after which of such events: (event, last nth, seconds).
MOMENTS = (
    ("start", 1, 0.25), ("planned", 1, 0.05), ("component_started", 2, 0.05), ("component_finished", 2, 0.05),
    ("component_finished", 1, 0.08), ("published", 1, 0.05),
)
REFUSED = ("tags", "states", "latest", "locks", "approvals")
UPKEEP = (("gc", "--quiet"), ("repack", "-A", "-d", "-q"), ("pack-refs", "--all"))


@dataclass(frozen=True, eq=False)
class Fault:
    """Something that goes wrong, `delay` seconds after the `nth` event of a rollout's progress."""

    name: str
    event: str
    nth: int = 1
    delay: float = 0.0
    # What it needs besides: bytes, seconds, the kind of refs, the command.
    detail: object = None


@dataclass(frozen=True)
class Writer:
    """One of those who roll out. Without a checkout of its own it makes a new clone for every rollout."""

    number: int
    checkout: str | None
    shallow: bool
    # Its processes are in a pid namespace, as on another machine.
    elsewhere: bool
    # Seconds by which its machine's clock is wrong.
    clock: int


@dataclass
class Step:
    """One rollout."""

    writer: int
    number: int
    deployment: str
    promotes: bool
    components: tuple
    # Which of the commits; None for what is checked out.
    commit: int | None
    # The id of a CI's run; without one the program makes an id up.
    run: int | None
    lock_timeout: int
    # Which component takes how many seconds, and which one fails.
    sleeps: tuple | None
    fails: str | None
    again: bool
    reads: bool
    faults: list = field(default_factory=list)

    @property
    def target(self):
        return "prod" if self.promotes else "dev"


@dataclass(frozen=True)
class Plan:
    """A round."""

    kind: object
    seed: int
    writers: tuple
    steps: tuple
    # Whole rollouts for faults that met nothing before.
    spares: tuple
    # Seconds of a lock's lease; None for the program's own.
    lease: int | None


def make(kind, seed, rollouts):
    """Decides everything about a round."""
    chance = random.Random(f"{kind} {seed}")
    # Those who share a checkout share a machine, and a machine has one clock.
    clocks = [chance.choice((0, *CLOCKS)) if kind.has("clocks") else 0 for _ in range(WRITERS)]
    writers = tuple(_writer(chance, clocks, number) for number in range(WRITERS))
    # Those whose clocks are wrong have to meet some that still work.
    often = 3 if kind.has("clocks") else 1
    steps = tuple(_step(chance, at, often) for at in range(rollouts))
    for step in steps:
        step.writer = step.number % WRITERS
    spares = tuple(_spare(_step(chance, rollouts + at, 1)) for at in range(SPARES))
    lease = chance.choice((None, None, 6))
    if kind.has("calm"):
        _calm(steps)
    else:
        _add_faults(chance, kind, steps)
    return Plan(kind, seed, writers, steps, spares, lease)


def _writer(chance, clocks, number):
    """Seven writers share three checkouts, five have none; a fifth of all are elsewhere."""
    shared = number % SHARED_CHECKOUTS if number < 7 else None
    checkout = f"shared-{shared}" if shared is not None else None
    clock = clocks[number if shared is None else shared]
    elsewhere = clock != 0 or number in (6, 11) or chance.random() < 0.05
    return Writer(number, checkout, chance.random() < 0.5, elsewhere, clock)


def _step(chance, at, often):
    promotes = chance.random() < 0.3
    some = chance.random() < 0.6
    components = tuple(chance.sample(COMPONENTS, chance.choice((1, 1, 2)))) if some else ()
    sleeps = None
    if chance.random() < 0.25 * often:
        sleeps = (chance.choice(components or COMPONENTS), round(chance.uniform(0.05, 0.6 * often), 3))
    if chance.random() < 0.04 * often:
        sleeps = (chance.choice(components or COMPONENTS), round(chance.uniform(2, 7), 3))
    return Step(
        writer=0,
        number=at,
        deployment=chance.choice(DEPLOYMENTS),
        promotes=promotes,
        components=components,
        commit=chance.randrange(COMMITS) if not promotes and chance.random() < 0.6 else None,
        run=1000 + at if chance.random() < 0.7 else None,
        lock_timeout=chance.choice((0, 10, 15, 15, 15)),
        sleeps=sleeps,
        fails=chance.choice(COMPONENTS) if chance.random() < 0.05 else None,
        again=chance.random() < 0.4,
        reads=chance.random() < 0.15,
    )


def _calm(steps):
    """One rollout after the other, in checkouts of their own, none of them twice."""
    for step in steps:
        step.writer, step.again = WRITERS - 2, False


def _spare(step):
    step.components, step.fails, step.reads, step.again, step.lock_timeout = (), None, False, False, 20
    return step


def _add_faults(chance, kind, steps):
    """At most one fault of a group meets a rollout."""
    for group in (mix.PROCESS, mix.NETWORK if kind.has("proxy") else (), mix.UPKEEP):
        free = list(steps)
        chance.shuffle(free)
        for name in group:
            for _ in range(_number(name, kind, len(steps))):
                if free:
                    _add_fault(chance, kind, free.pop(), name)
    # Drawn last, so that what was decided before stays what it was.
    network = mix.NETWORK if kind.has("proxy") else ()
    for name, group in (("kill-git", mix.PROCESS), ("refused", network), ("refused", network)):
        free = [step for step in steps if not any(fault.name in group for fault in step.faults)]
        if group and free:
            _add_fault(chance, kind, chance.choice(free), name)


def _number(name, kind, steps):
    if name == "hook-slow" and kind.has("slow"):
        return 3
    return math.ceil(mix.planned(name) * steps / 1000)


def _add_fault(chance, kind, step, name):
    event, last, longest = chance.choice(MOMENTS)
    nth, delay, detail = chance.randint(1, last), round(chance.uniform(0, longest), 4), None
    if name == "kill-program" and chance.random() < 0.4:
        # What the program leaves behind still works when another run takes over.
        event, nth, delay = "component_started", 1, delay / 4
        first = next(component for component in COMPONENTS if component in (step.components or COMPONENTS))
        step.sleeps, step.again = (first, 3.0), True
    if name == "kill-component":
        step.sleeps = (chance.choice(step.components or COMPONENTS), 0.6)
        event, nth, detail = "component_started", 1, step.sleeps[0]
    elif name in ("sigint", "sigterm"):
        event, nth, delay = chance.choice(("planned", "component_started")), 1, delay / 4
        step.sleeps = step.sleeps or (chance.choice(step.components or COMPONENTS), 0.3)
    elif name == "hook-refuses":
        event, detail = chance.choice(("start", "planned", "component_started")), chance.choice(REFUSED)
        event = "start" if detail == "approvals" else event
        nth = 1
    elif name == "hook-slow":
        event, nth, detail = "component_started", 1, 60 if kind.has("slow") else round(chance.uniform(3, 6), 2)
    elif name in mix.UPKEEP:
        event, detail = chance.choice(("start", "planned", "component_started")), chance.choice(UPKEEP)
        nth = 1
    elif name == "disk-full":
        event, nth = chance.choice(("planned", "component_started", "component_finished")), 1
    elif name in mix.NETWORK:
        event, nth, delay, detail = _network(chance, name, kind.has("slow"))
    step.faults.append(Fault(name, event, nth, delay, detail))


def _network(chance, name, slow):
    """When a connection fails, and after how many bytes or for how many seconds."""
    pushes = ("start", "planned", "component_started", "component_finished")
    event = chance.choice(("start",) * 3 + pushes if name == "cut-receiving" else pushes)
    detail = {
        "cut-sending": lambda: chance.choice((0, 40, 200, 500)),
        "cut-receiving": lambda: chance.choice((0, 0, 30, 200, 700)),
        "refused": lambda: round(chance.uniform(0.1, 0.6), 2),
        "answer-lost": lambda: None,
        "stalled": lambda: (20 if slow else round(chance.uniform(1, 4), 2), chance.random() < 0.5),
    }[name]()
    return event, 1, 0.0, detail


def described(plan):
    """All decisions as text: equal for equal decisions."""
    steps = [
        {**vars(step), "faults": [vars(fault) for fault in step.faults]} for step in (*plan.steps, *plan.spares)
    ]
    return repr((str(plan.kind), plan.seed, plan.writers, steps, plan.lease))
