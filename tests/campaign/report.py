"""What a campaign tells: counts, and every violation with the round that repeats it."""

import collections
import json
import os
import platform
import subprocess
import sys
import time

import mix

SHOWN = 40


def tell_round(result):
    """One line for a round, and what was violated in it."""
    codes = " ".join(f"{code}:{number}" for code, number in sorted(result["exit_codes"].items()))
    faults, violations = sum(result["faults"].values()), len(result["violations"])
    print(f"{result['kind']} {result['seed']}: {result['rollouts']} rollouts in {result['seconds']} s, "
          f"exit codes {codes}, {faults} faults, {violations} violations", flush=True)
    for violation in result["violations"]:
        print(f"  VIOLATED {violation['invariant']}: {violation['text']}", flush=True)


def tell(campaign, complete):
    """The whole, and the exit code. Only a complete campaign has to have had the faults of the mix."""
    summary = summarize(campaign)
    if campaign.options.json:
        campaign.options.json.write_text(json.dumps(summary, indent=2) + "\n")
    print(f"\nseed {summary['seed']}: {summary['rounds']} rounds, {summary['rollouts']} rollouts "
          f"({summary['elsewhere']} in a pid namespace), {summary['components']} components run, "
          f"in {summary['seconds']} s")
    faults = summary["faults"]
    for name in (*mix.AT_LEAST, *mix.OF_ROUNDS):
        print(f"  {faults.get(name, 0):6}  {name}")
    for lack in summary["lacks"]:
        print(f"NOT TRIED: {lack}")
    for failure in summary["failures"]:
        print(f"FAILED: {failure}")
    missing = mix.missing(faults, summary["rollouts"]) if complete else {}
    for name, number in missing.items():
        print(f"TOO FEW: {name}: {faults.get(name, 0)}, at least {number} are part of so many rollouts")
    if complete:
        for name in mix.without_effect(faults):
            print(f"NO EFFECT: {name}: this campaign says nothing of it")
    _tell_violations(summary)
    bad = summary["violations"] or summary["failures"] or missing
    return 1 if bad else 0


def _tell_violations(summary):
    kinds = collections.Counter(violation["invariant"] for violation in summary["violations"])
    counts = ", ".join(f"{invariant} {number}" for invariant, number in kinds.items())
    print(f"{len(summary['violations'])} violations" + (f": {counts}" if counts else ""))
    for violation in summary["violations"][:SHOWN]:
        print(f"  {violation['kind']} {violation['seed']}: {violation['invariant']}")
    if len(summary["violations"]) > SHOWN:
        print(f"  … and {len(summary['violations']) - SHOWN} more")
    rounds = dict.fromkeys((violation["kind"], violation["seed"]) for violation in summary["violations"])
    for kind, seed in list(rounds)[:5]:
        print(f"again: {sys.argv[0]} {kind} {seed}")


def summarize(campaign):
    """Everything that was counted."""
    results = campaign.results
    return {
        "seed": campaign.options.seed,
        "atmos": str(campaign.options.atmos),
        "machine": machine(),
        "seconds": round(time.monotonic() - campaign.began, 1),
        "rounds": len(results),
        "rollouts": campaign.rollouts(),
        "elsewhere": sum(result["elsewhere"] for result in results),
        "components": sum(result["components"] for result in results),
        "faults": dict(campaign.faults()),
        "lacks": campaign.lacks,
        "failures": campaign.failures,
        "violations": [
            {"kind": result["kind"], "seed": result["seed"], **violation}
            for result in results for violation in result["violations"]
        ],
        "details": results,
    }


def machine():
    """Where it ran."""
    version = subprocess.run(["git", "version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "git": version,
        "python": platform.python_version(),
    }
