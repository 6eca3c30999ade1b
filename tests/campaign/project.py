"""What is deployed: four deployments of three components, whose scripts write the journal."""

from plan import COMMITS, COMPONENTS, DEPLOYMENTS

# A start is noted after it, an end before it: what overlaps in the journal has overlapped. The
# shell waits for a child in the background, since it answers a signal only between commands.
SCRIPT = """\
#!/bin/sh
note() {
  read -r uptime rest < /proc/uptime
  what="$ATMOS_DEPLOYMENT $ATMOS_TARGET $ATMOS_COMPONENT $ATMOS_GIT_SHA $ATMOS_RUN_ID"
  echo "$1 $CAMPAIGN_ROLLOUT $$ $uptime $what" >> "$CAMPAIGN_JOURNAL"
}
ulimit -S -f unlimited
trap 'note end; exit 143' TERM INT
note start
if [ "${CAMPAIGN_SLEEPS:-}" = "$ATMOS_COMPONENT" ]; then
  sleep "$CAMPAIGN_SECONDS" &
  wait $!
fi
note end
[ "${CAMPAIGN_FAILS:-}" != "$ATMOS_COMPONENT" ]
"""


def deployment_file(name):
    """A deployment with an entry point and a target that takes promotions with an approval."""
    lines = ["deployment:", f"  name: {name}", "  components:", "    command:"]
    for before, component in zip((None, *COMPONENTS), COMPONENTS, strict=False):
        depends = f"metadata: {{ depends_on: [{before}] }}, " if before else ""
        lines.append(f"      {component}: {{ {depends}settings: {{ command: {{ apply: [./deploy.sh] }} }} }}")
    lines += [
        "  targets:",
        "    dev: {}",
        "    prod: { promotion: { from: dev, requires_approval: true, approval_method: manual } }",
    ]
    return "\n".join(lines) + "\n"


def create(path, git):
    """A repository with some versions of everything. Returns their commits, oldest first."""
    git(path.parent, "init", "--quiet", "--initial-branch=main", str(path))
    (path / "deployments").mkdir()
    for name in DEPLOYMENTS:
        (path / f"deployments/{name}.yaml").write_text(deployment_file(name))
    (path / "deploy.sh").write_text(SCRIPT)
    (path / "deploy.sh").chmod(0o755)
    (path / ".gitignore").write_text(".atmos\n")
    commits = []
    for number in range(COMMITS):
        (path / "version").write_text(f"{number}\n")
        git(path, "add", "--all")
        git(path, "commit", "--quiet", "--message", f"Version {number}")
        commits.append(git(path, "rev-parse", "HEAD"))
    return commits
