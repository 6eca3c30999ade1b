"""A writer: carries its steps out in turn, and claims in the journal what it was told."""

import itertools

import program
from faults import Injection
from journal import Outcome


class Writer:
    """One of a round's writers; a thread runs it."""

    def __init__(self, round_, plan, steps):
        self.round = round_
        self.plan = plan
        self.steps = steps

    def work(self):
        for step in itertools.chain(self.steps, iter(self.round.spare, None)):
            checkout = self._checkout(step)
            attempts = 2 if step.again else 1
            for attempt in range(1, attempts + 1):
                outcome = self._roll_out(step, checkout, attempt)
                if outcome.code == 0 or self.round.is_over():
                    break
            if step.reads:
                self._read(step, checkout)

    def _checkout(self, step):
        world = self.round.world
        if self.plan.checkout:
            return self.round.shared[self.plan.checkout]
        small = any(fault.name == "disk-full" for fault in step.faults)
        return world.clone(shallow=self.plan.shallow and step.commit is None, small=small)

    def _roll_out(self, step, checkout, attempt):
        """Runs a step; what goes wrong happens at the first attempt alone."""
        rollout = f"{step.number}.{attempt}"
        outcome = Outcome(
            rollout=rollout,
            run_id=f"github:{step.run}/{attempt}" if step.run else None,
            deployment=step.deployment,
            target=step.target,
            checkout=checkout.name,
            elsewhere=self.elsewhere(),
            clock=self.plan.clock,
        )
        run = self._run(step, checkout, outcome)
        faults = step.faults if attempt == 1 else []
        outcome.planned = [fault.name for fault in faults]
        injections = [Injection(fault, run, checkout, self.round.world, outcome) for fault in faults]
        run.timers = [
            program.Timer(injection.fault.event, injection.fault.nth, injection.fault.delay, injection.act)
            for injection in injections
        ]
        try:
            run.carry_out(self.round.atmos)
        finally:
            for injection in injections:
                if injection.finish():
                    self.round.count(injection.fault.name)
                    outcome.faults.append(injection.fault.name)
                else:
                    self.round.missed(injection.fault)
        outcome.learn(run)
        self.round.journal.claims(outcome)
        return outcome

    def elsewhere(self):
        return self.plan.elsewhere and self.round.namespaces

    def _run(self, step, checkout, outcome):
        arguments = ["deployment", "rollout", step.deployment, "--target", step.target, "--format", "json"]
        arguments += ["--lock-timeout", f"{step.lock_timeout}s"]
        for component in step.components:
            arguments += ["--component", component]
        if step.commit is not None:
            arguments += ["--git-sha", self.round.world.commits[step.commit]]
        if step.promotes:
            outcome.approval = f"reason-{outcome.rollout}"
            arguments += ["--promote-from", "dev", "--allow-partial", "--approve", outcome.approval]
        variables = self.round.variables(self.plan.clock, CAMPAIGN_ROLLOUT=outcome.rollout)
        if outcome.run_id:
            variables["ATMOS_RUN_ID"] = outcome.run_id
        if step.sleeps:
            variables["CAMPAIGN_SLEEPS"], variables["CAMPAIGN_SECONDS"] = step.sleeps[0], str(step.sleeps[1])
        if step.fails:
            variables["CAMPAIGN_FAILS"] = step.fails
        limited = any(fault.name == "disk-full" for fault in step.faults) and checkout.mount is None
        return program.Run(arguments, checkout.path, variables, self.elsewhere(), limited)

    def _read(self, step, checkout):
        """A question between rollouts."""
        arguments = ["deployment", "status", step.deployment, "--format", "json"]
        variables = self.round.variables(self.plan.clock)
        program.Run(arguments, checkout.path, variables, self.elsewhere()).carry_out(self.round.atmos)
