#!/usr/bin/env python3
"""A stateful stand-in for the APIs of GitHub and GitLab, as far as the provider layer uses them.

    stub.py --port 8090

GitHub answers below `/`, GitLab below `/api/v4`. A token that begins with `ghp_` or `glpat-` acts as a user, any other as
an app or a job. The address is printed to stdout.

`GET /__state` tells everything that was written, and every request. `POST /__fault {"status": 502, "times": 1, "method":
"POST", "path": "/statuses/", "headers": {}, "message": ""}` lets the next matching requests fail after they were carried
out, with `"before": true` instead of it. `POST /__comments {"number": 5000}` writes so many comments, `DELETE
/__comments` removes all of them. `POST /__merges {"number": 7, "branch": "main", "commit": "…"}` merges a request. `POST /__approvals {"environment": "prod", "by": "alice"}` approves the runs of an
environment. `POST /__jobs {"run": 99, "attempt": 1, "runner": "r1", "commit": "…", "environment": "prod"}` starts a job of a
run on a runner, without a deployment where there is no environment; `DELETE /__jobs` forgets all of them.
"""

import argparse
import base64
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

TIME = "2025-01-23T15:30:00Z"


def now():
    """The time of an approval that is given now: an old one would have expired."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


WEB = "https://github.example.com"


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "documentation_url": f"{WEB}/docs", "status": str(status)}


class State:
    """Everything that was written."""

    def __init__(self):
        self.lock = threading.RLock()
        self.next_id = 1
        self.comments, self.statuses, self.deployments = [], [], []
        self.deployment_statuses, self.rulesets, self.dispatches = [], [], []
        self.notes, self.gitlab_statuses, self.gitlab_deployments = [], [], []
        self.environments, self.protected_tags, self.pipelines, self.jobs = [], [], [], []
        # The environments of GitHub that every run is approved for.
        self.approved = ["production"]
        self.requests, self.approvals, self.merges = [], [], []
        self.open_requests, self.files = [], []
        self.fault = None

    def id(self):
        self.next_id += 1
        return self.next_id

    def written(self):
        return {key: value for key, value in vars(self).items() if isinstance(value, list)}


def find(items, **fields):
    for item in items:
        if all(item.get(key) == value for key, value in fields.items()):
            return item
    raise Refusal(404, "Not Found")


def page(items, query):
    size = min(int(query.get("per_page", 30)), 100)
    start = (int(query.get("page", 1)) - 1) * size
    return items[start : start + size]


# GitHub


def account(login, kind):
    api = f"{WEB}/api/v3/users/{quote(login)}"
    return {
        "login": login,
        "id": 1,
        "node_id": "U_1",
        "avatar_url": f"{WEB}/avatars/1",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{WEB}/{quote(login)}",
        "followers_url": f"{api}/followers",
        "following_url": f"{api}/following{{/other_user}}",
        "gists_url": f"{api}/gists{{/gist_id}}",
        "starred_url": f"{api}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{api}/subscriptions",
        "organizations_url": f"{api}/orgs",
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events{{/privacy}}",
        "received_events_url": f"{api}/received_events",
        "type": kind,
        "site_admin": False,
    }


def actor(request):
    return account("release-bot", "User") if request.is_user else account("github-actions[bot]", "Bot")


def github_user(state, request):
    if not request.is_user:
        raise Refusal(403, "Resource not accessible by integration")
    person = {
        "name": None, "company": None, "blog": None, "location": None, "email": None, "hireable": None, "bio": None,
        "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0, "created_at": TIME, "updated_at": TIME,
        "private_gists": 0, "total_private_repos": 0, "owned_private_repos": 0, "disk_usage": 0, "collaborators": 0,
        "two_factor_authentication": True, "user_view_type": "private",
    }
    return 200, {**account("release-bot", "User"), **person}


def github_viewer(state, request):
    """The GraphQL API, as far as it tells an app its name."""
    return 200, {"data": {"viewer": {"login": actor(request)["login"]}}}


def list_comments(state, request, repository, issue):
    of_issue = [comment for comment in state.comments if comment["issue_url"].endswith(f"/issues/{issue}")]
    return 200, page(of_issue, request.query)


def create_comment(state, request, repository, issue):
    number = state.id()
    comment = {
        "id": number,
        "node_id": f"IC_{number}",
        "url": f"{WEB}/api/v3/repos/{repository}/issues/comments/{number}",
        "html_url": f"{WEB}/{repository}/pull/{issue}#issuecomment-{number}",
        "issue_url": f"{WEB}/api/v3/repos/{repository}/issues/{issue}",
        "body": request.json["body"],
        "user": actor(request),
        "created_at": TIME,
        "updated_at": TIME,
        "author_association": "NONE",
    }
    state.comments.append(comment)
    return 201, comment


def edit_comment(state, request, repository, number):
    comment = find(state.comments, id=int(number))
    comment["body"] = request.json["body"]
    return 200, comment


def delete_comment(state, request, repository, number):
    state.comments.remove(find(state.comments, id=int(number)))
    return 204, None


def list_pulls_of_commit(state, request, repository, commit):
    merged = [pull(repository, merge) for merge in state.merges if merge["commit"] == commit]
    return 200, merged + [open_pull(repository, told) for told in state.open_requests if told["head"] == commit]


def list_pulls(state, request, repository):
    heads = {f"{told['repository'].split('/')[0]}:{told['branch']}": told for told in state.open_requests}
    told = heads.get(request.query.get("head"))
    return 200, [open_pull(repository, told)] if told else []


def read_pull(state, request, repository, number):
    return 200, {
        **open_pull(repository, find(state.open_requests, number=int(number))),
        **dict.fromkeys(["additions", "changed_files", "comments", "commits", "deletions", "review_comments"], 1),
        "merged": False, "mergeable": True, "mergeable_state": "clean", "merged_by": None, "maintainer_can_modify": False,
    }


def open_pull(repository, told):
    """An open pull request, as `/__requests` was told of it."""
    whole = pull(repository, {"number": told["number"], "commit": told.get("merge"), "branch": told["base"]})
    head = {**whole["head"], "sha": told["head"], "ref": told["branch"]}
    if told["repository"] != repository:
        head["repo"] = {**repository_object(told["repository"]), "id": 2}
    return {**whole, "state": "open", "closed_at": None, "merged_at": None, "head": head}


def read_file(state, request, repository, path):
    """A file of a branch, as `/__files` was told of it."""
    told = find(state.files, path=path, ref=request.query["ref"])
    api = f"{WEB}/api/v3/repos/{repository}/contents/{path}"
    content = base64.b64encode(told["content"].encode()).decode()
    return 200, {
        "type": "file", "encoding": "base64", "size": len(told["content"]), "name": path.split("/")[-1], "path": path,
        "content": content + "\n", "sha": "0" * 40, "url": api, "git_url": api, "html_url": api, "download_url": api,
        "_links": {"git": api, "html": api, "self": api},
    }


def repository_object(name):
    addresses = """
        archive assignees blobs branches clone collaborators comments commits compare contents contributors deployments
        downloads events forks git git_commits git_refs git_tags hooks html issue_comment issue_events issues keys labels
        languages merges milestones notifications pulls releases ssh stargazers statuses subscribers subscription svn tags
        teams trees
    """
    return {
        **{f"{address}_url": f"{WEB}/{name}" for address in addresses.split()},
        **dict.fromkeys(["description", "homepage", "language", "license", "mirror_url"]),
        **dict.fromkeys(["created_at", "pushed_at", "updated_at"], TIME),
        **dict.fromkeys(["archived", "disabled", "fork", "private"], False),
        **dict.fromkeys(["has_downloads", "has_issues", "has_pages", "has_projects", "has_wiki"], True),
        **dict.fromkeys(["forks", "forks_count", "open_issues", "open_issues_count", "size", "stargazers_count"], 0),
        **dict.fromkeys(["watchers", "watchers_count"], 0),
        "id": 1, "node_id": "R_1", "name": name.split("/")[1], "full_name": name, "owner": account("acme", "User"),
        "url": f"{WEB}/api/v3/repos/{name}", "default_branch": "main",
    }


def pull(repository, merge):
    number = merge["number"]
    api = f"{WEB}/api/v3/repos/{repository}"
    side = {"label": "acme:x", "sha": "0" * 40, "user": account("alice", "User"), "repo": repository_object(repository)}
    links = ("self", "html", "issue", "comments", "review_comments", "review_comment", "commits", "statuses")
    return {
        "id": number, "node_id": f"PR_{number}", "number": number, "state": "closed", "locked": False, "title": "Change",
        "url": f"{api}/pulls/{number}", "html_url": f"{WEB}/{repository}/pull/{number}",
        "diff_url": f"{WEB}/{repository}/pull/{number}.diff", "patch_url": f"{WEB}/{repository}/pull/{number}.patch",
        "issue_url": f"{api}/issues/{number}", "commits_url": f"{api}/pulls/{number}/commits",
        "review_comments_url": f"{api}/pulls/{number}/comments",
        "review_comment_url": f"{api}/pulls/comments{{/number}}", "comments_url": f"{api}/issues/{number}/comments",
        "statuses_url": f"{api}/statuses/{'0' * 40}", "user": account("alice", "User"), "body": None, "labels": [],
        "milestone": None, "created_at": TIME, "updated_at": TIME, "closed_at": TIME, "merged_at": TIME,
        "merge_commit_sha": merge["commit"], "assignee": None, "assignees": [], "requested_reviewers": [],
        "requested_teams": [], "draft": False, "author_association": "MEMBER", "auto_merge": None,
        "head": {**side, "ref": "feature"}, "base": {**side, "ref": merge["branch"]},
        "_links": {name: {"href": f"{api}/pulls/{number}"} for name in links},
    }


def create_status(state, request, repository, commit):
    if len(request.json.get("description") or "") > 140:
        raise Refusal(422, "Validation Failed")
    number = state.id()
    status = {
        "id": number,
        "node_id": f"SC_{number}",
        "url": f"{WEB}/api/v3/repos/{repository}/statuses/{commit}",
        "avatar_url": None,
        "state": request.json["state"],
        "description": request.json.get("description"),
        "target_url": request.json.get("target_url"),
        "context": request.json.get("context", "default"),
        "created_at": TIME,
        "updated_at": TIME,
        "creator": actor(request),
    }
    state.statuses.append({**status, "sha": commit})
    return 201, status


def list_deployments(state, request, repository):
    chosen = [
        deployment
        for deployment in reversed(state.deployments)
        if all(deployment[key] == request.query[key] for key in ("sha", "environment") if key in request.query)
    ]
    return 200, page(chosen, request.query)


def create_deployment(state, request, repository):
    made = deployment(state, request, repository, request.json)
    return 201, made


def deployment(state, request, repository, body):
    number = state.id()
    api = f"{WEB}/api/v3/repos/{repository}"
    made = {
        "id": number,
        "node_id": f"DE_{number}",
        "url": f"{api}/deployments/{number}",
        "sha": body["ref"],
        "ref": body["ref"],
        "task": body.get("task", "deploy"),
        "payload": body.get("payload", {}),
        "environment": body.get("environment", "production"),
        "description": body.get("description"),
        "creator": actor(request),
        "created_at": TIME,
        "updated_at": TIME,
        "statuses_url": f"{api}/deployments/{number}/statuses",
        "repository_url": api,
    }
    state.deployments.append(made)
    return made


def create_deployment_status(state, request, repository, number):
    return 201, deployment_status(state, request, repository, find(state.deployments, id=int(number)), request.json)


def list_deployment_statuses(state, request, repository, number):
    address = find(state.deployments, id=int(number))["url"]
    chosen = [status for status in reversed(state.deployment_statuses) if status["deployment_url"] == address]
    return 200, page(chosen, request.query)


def deployment_status(state, request, repository, deployment, body):
    own = state.id()
    status = {
        "id": own,
        "node_id": f"DES_{own}",
        "url": f"{deployment['url']}/statuses/{own}",
        "state": body["state"],
        "creator": actor(request),
        "description": body.get("description", ""),
        "environment_url": body.get("environment_url", f"{WEB}/{repository}"),
        "log_url": body.get("log_url", f"{WEB}/{repository}/actions"),
        "target_url": body.get("log_url", f"{WEB}/{repository}/actions"),
        "created_at": TIME,
        "updated_at": TIME,
        "deployment_url": deployment["url"],
        "repository_url": deployment["repository_url"],
    }
    state.deployment_statuses.append(status)
    return status


def start_job(state, request, repository, told):
    """A job that a runner has, and, where it has an environment, the deployment that the platform makes of it."""
    number, run, attempt = state.id(), told["run"], told.get("attempt", 1)
    api = f"{WEB}/api/v3/repos/{repository}"
    log = f"{WEB}/{repository}/actions/runs/{run}/job/{number}"
    state.jobs.append({
        "id": number, "node_id": f"CR_{number}", "run_id": run, "run_attempt": attempt, "url": f"{api}/actions/jobs/{number}",
        "run_url": f"{api}/actions/runs/{run}", "html_url": log, "head_sha": told["commit"], "head_branch": "main",
        "workflow_name": "Deploy", "name": "deploy", "status": told.get("status", "in_progress"), "conclusion": None,
        "created_at": TIME, "started_at": TIME, "completed_at": None, "steps": [], "labels": ["ubuntu-latest"],
        "check_run_url": f"{api}/check-runs/{number}", "runner_id": number, "runner_name": told["runner"],
        "runner_group_id": 1, "runner_group_name": "GitHub Actions",
    })
    if told.get("environment"):
        of_job = deployment(state, request, repository, {"ref": told["commit"], "environment": told["environment"]})
        for at in ("queued", "in_progress"):
            deployment_status(state, request, repository, of_job, {"state": at, "log_url": log})


def list_jobs(state, request, repository, run, attempt):
    chosen = [job for job in state.jobs if (job["run_id"], job["run_attempt"]) == (int(run), int(attempt))]
    return 200, {"total_count": len(chosen), "jobs": page(chosen, request.query)}


def ruleset(number, repository, body):
    return {**body, "id": number, "source": repository, "source_type": "Repository"}


def list_rulesets(state, request, repository):
    short = ("id", "name", "target", "source", "source_type", "enforcement")
    return 200, [{key: listed[key] for key in short} for listed in state.rulesets]


def create_ruleset(state, request, repository):
    if not request.is_user:
        raise Refusal(404, "Not Found")
    made = ruleset(state.id(), repository, request.json)
    state.rulesets.append(made)
    return 201, made


def read_ruleset(state, request, repository, number):
    return 200, find(state.rulesets, id=int(number))


def replace_ruleset(state, request, repository, number):
    found = find(state.rulesets, id=int(number))
    found.update(request.json)
    return 200, found


def dispatch_workflow(state, request, repository, workflow):
    state.dispatches.append({**request.json, "workflow": workflow})
    return 204, None


def list_approvals(state, request, repository, run):
    environment = {
        "id": 1, "node_id": "EN_1", "name": "production", "url": f"{WEB}/api/v3/environments/production",
        "html_url": f"{WEB}/{repository}/deployments", "created_at": TIME, "updated_at": TIME,
    }
    approvals = [{"environment": name, "by": "alice"} for name in state.approved] + state.approvals
    return 200, [
        {
            "state": "approved", "comment": "Ship it!", "user": account(approval["by"], "User"),
            "environments": [{**environment, "name": approval["environment"]}],
        }
        for approval in approvals
    ]


# GitLab


def member(request):
    name = "release-bot" if request.is_user else "job"
    return {
        "id": 1, "username": name, "name": name, "state": "active", "locked": False, "avatar_url": f"{WEB}/a.png",
        "web_url": f"{WEB}/{name}",
    }


def gitlab_user(state, request):
    if not request.is_user:
        raise Refusal(401, "401 Unauthorized")
    return 200, member(request)


def list_merge_requests_of_commit(state, request, project, commit):
    merged = [merge for merge in state.merges if merge["commit"] == commit]
    return 200, [
        {
            "id": 1000 + merge["number"], "iid": merge["number"], "project_id": 42, "title": "Change", "state": "merged",
            "target_branch": merge["branch"], "source_branch": "feature", "merged_at": TIME, "merge_commit_sha": commit,
            "squash_commit_sha": None, "sha": "0" * 40,
        }
        for merge in merged
    ]


def read_merge_request(state, request, project, number):
    told = find(state.open_requests, number=int(number))
    return 200, {
        "id": 1000 + told["number"], "iid": told["number"], "project_id": 42, "title": "Change", "state": "opened",
        "target_branch": told["base"], "source_branch": told["branch"], "merged_at": None, "merge_commit_sha": None,
        "squash_commit_sha": None, "sha": told["head"], "source_project_id": 42, "target_project_id": 42,
    }


def list_notes(state, request, project, merge_request):
    return 200, page([note for note in state.notes if note["noteable_iid"] == int(merge_request)], request.query)


def create_note(state, request, project, merge_request):
    if not request.is_user:
        raise Refusal(401, "401 Unauthorized")
    note = {
        "id": state.id(), "body": request.json["body"], "author": member(request), "created_at": TIME,
        "updated_at": TIME, "system": False, "noteable_id": 7, "noteable_type": "MergeRequest", "project_id": 42,
        "resolvable": False, "confidential": False, "internal": False, "imported": False, "imported_from": "none",
        "noteable_iid": int(merge_request), "commands_changes": {},
    }
    state.notes.append(note)
    return 201, note


def edit_note(state, request, project, merge_request, number):
    note = find(state.notes, id=int(number))
    note["body"] = request.json["body"]
    return 200, note


def delete_note(state, request, project, merge_request, number):
    state.notes.remove(find(state.notes, id=int(number)))
    return 204, None


def create_gitlab_status(state, request, project, commit):
    body = request.json
    if any(s["name"] == body["name"] and s["sha"] == commit and s["status"] == body["state"] for s in state.gitlab_statuses[-1:]):
        raise Refusal(400, f"Cannot transition status via :{body['state']} from :{body['state']}")
    status = {
        "id": state.id(), "sha": commit, "ref": "main", "status": body["state"], "name": body["name"],
        "target_url": body.get("target_url", WEB), "description": body.get("description", ""), "created_at": TIME,
        "allow_failure": False, "pipeline_id": body.get("pipeline_id", 5), "author": member(request),
    }
    state.gitlab_statuses.append(status)
    return 200, status


def gitlab_deployment(state, request, environment, commit, status):
    number = state.id()
    return {
        "id": number, "iid": number, "ref": "main", "sha": commit, "created_at": TIME, "updated_at": TIME,
        "user": member(request), "environment": {"id": 1, "name": environment, "slug": "env", "created_at": TIME},
        "status": status, "pending_approval_count": 0, "approvals": [],
    }


def list_gitlab_deployments(state, request, project):
    environment = request.query.get("environment")
    if not any("deployable" in deployment for deployment in state.gitlab_deployments):
        # The one of the job that asks, with everything that was approved of it.
        given = state.approvals or [{"environment": "production", "by": "alice"}]
        own = gitlab_deployment(state, request, given[0]["environment"], "0" * 40, "running")
        own["deployable"] = {"id": 6, "status": "running", "stage": "deploy", "name": "deploy", "ref": "main", "tag": False}
        own["approvals"] = [
            {
                "user": {**member(request), "username": approval["by"]}, "status": "approved",
                "created_at": approval.get("at") or now(), "comment": "Ship it!",
            }
            for approval in given
        ]
        state.gitlab_deployments.append(own)
    chosen = [d for d in reversed(state.gitlab_deployments) if d["environment"]["name"] == environment]
    without = ("pending_approval_count", "approvals")
    return 200, [{key: value for key, value in d.items() if key not in without} for d in page(chosen, request.query)]


def create_gitlab_deployment(state, request, project):
    body = request.json
    made = gitlab_deployment(state, request, body["environment"], body["sha"], body["status"])
    state.gitlab_deployments.append(made)
    return 201, made


def read_gitlab_deployment(state, request, project, number):
    return 200, find(state.gitlab_deployments, id=int(number))


def update_gitlab_deployment(state, request, project, number):
    found = find(state.gitlab_deployments, id=int(number))
    found["status"] = request.json["status"]
    return 200, found


def list_environments(state, request, project):
    return 200, [e for e in state.environments if e["name"] == request.query.get("name", e["name"])]


def create_environment(state, request, project):
    made = {
        "id": state.id(), "name": request.json["name"], "slug": "env", "external_url": request.json.get("external_url", WEB),
        "created_at": TIME, "updated_at": TIME, "tier": "production", "state": "available",
    }
    state.environments.append(made)
    return 201, made


def read_protected_tag(state, request, project, name):
    return 200, find(state.protected_tags, name=name)


def list_protected_tags(state, request, project):
    return 200, page(state.protected_tags, request.query)


def protect_tag(state, request, project):
    level = {"id": 1, "access_level": request.json["create_access_level"], "access_level_description": "Developers + Maintainers"}
    made = {"name": request.json["name"], "create_access_levels": [level]}
    state.protected_tags.append(made)
    return 201, made


def start_pipeline(state, request, project):
    state.pipelines.append(request.json)
    return 201, {"id": state.id(), "iid": 1, "project_id": 42, "status": "created", "ref": request.json["ref"]}


REPOSITORY = r"/repos/([^/]+/[^/]+)"
PROJECT = r"/api/v4/projects/([^/]+)"
ROUTES = [
    (method, re.compile(pattern + "$"), handler)
    for method, pattern, handler in [
        ("GET", "/user", github_user),
        ("POST", "/graphql", github_viewer),
        ("GET", REPOSITORY + r"/issues/(\d+)/comments", list_comments),
        ("POST", REPOSITORY + r"/issues/(\d+)/comments", create_comment),
        ("PATCH", REPOSITORY + r"/issues/comments/(\d+)", edit_comment),
        ("DELETE", REPOSITORY + r"/issues/comments/(\d+)", delete_comment),
        ("GET", REPOSITORY + r"/commits/([0-9a-f]+)/pulls", list_pulls_of_commit),
        ("GET", REPOSITORY + "/pulls", list_pulls),
        ("GET", REPOSITORY + r"/pulls/(\d+)", read_pull),
        ("GET", REPOSITORY + "/contents/([^/]+)", read_file),
        ("POST", REPOSITORY + r"/statuses/([0-9a-f]+)", create_status),
        ("GET", REPOSITORY + "/deployments", list_deployments),
        ("POST", REPOSITORY + "/deployments", create_deployment),
        ("POST", REPOSITORY + r"/deployments/(\d+)/statuses", create_deployment_status),
        ("GET", REPOSITORY + r"/deployments/(\d+)/statuses", list_deployment_statuses),
        ("GET", REPOSITORY + "/rulesets", list_rulesets),
        ("POST", REPOSITORY + "/rulesets", create_ruleset),
        ("GET", REPOSITORY + r"/rulesets/(\d+)", read_ruleset),
        ("PUT", REPOSITORY + r"/rulesets/(\d+)", replace_ruleset),
        ("POST", REPOSITORY + r"/actions/workflows/([^/]+)/dispatches", dispatch_workflow),
        ("GET", REPOSITORY + r"/actions/runs/(\d+)/approvals", list_approvals),
        ("GET", REPOSITORY + r"/actions/runs/(\d+)/attempts/(\d+)/jobs", list_jobs),
        ("GET", "/api/v4/user", gitlab_user),
        ("GET", PROJECT + r"/repository/commits/([0-9a-f]+)/merge_requests", list_merge_requests_of_commit),
        ("GET", PROJECT + r"/merge_requests/(\d+)", read_merge_request),
        ("GET", PROJECT + r"/merge_requests/(\d+)/notes", list_notes),
        ("POST", PROJECT + r"/merge_requests/(\d+)/notes", create_note),
        ("PUT", PROJECT + r"/merge_requests/(\d+)/notes/(\d+)", edit_note),
        ("DELETE", PROJECT + r"/merge_requests/(\d+)/notes/(\d+)", delete_note),
        ("POST", PROJECT + r"/statuses/([0-9a-f]+)", create_gitlab_status),
        ("GET", PROJECT + "/deployments", list_gitlab_deployments),
        ("POST", PROJECT + "/deployments", create_gitlab_deployment),
        ("GET", PROJECT + r"/deployments/(\d+)", read_gitlab_deployment),
        ("PUT", PROJECT + r"/deployments/(\d+)", update_gitlab_deployment),
        ("GET", PROJECT + "/environments", list_environments),
        ("POST", PROJECT + "/environments", create_environment),
        ("GET", PROJECT + "/protected_tags", list_protected_tags),
        ("GET", PROJECT + "/protected_tags/([^/]+)", read_protected_tag),
        ("POST", PROJECT + "/protected_tags", protect_tag),
        ("POST", PROJECT + "/pipeline", start_pipeline),
        ("POST", PROJECT + "/trigger/pipeline", start_pipeline),
    ]
]


class Comment:
    """A request to write a comment that nobody has sent."""

    is_user = True

    def __init__(self, json):
        self.json = json


class Handler(BaseHTTPRequestHandler):
    """Finds the route of a request and answers it."""

    protocol_version = "HTTP/1.1"
    state: State

    def handle_any(self):
        url = urlsplit(self.path)
        # The address of an enterprise server's API ends so.
        path = url.path.removeprefix("/api/v3")
        self.query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.json = json.loads(body) if body else {}
        token = self.headers.get("authorization", "").removeprefix("Bearer ") or self.headers.get("private-token", "")
        self.is_user = token.startswith(("ghp_", "glpat-"))
        self.more_headers = {}
        with self.state.lock:
            self.answer(*self.outcome(path))

    def outcome(self, path):
        state = self.state
        if path == "/__state":
            return 200, state.written()
        if path == "/__fault":
            state.fault = self.json
            return 204, None
        if path == "/__approvals":
            if self.command == "DELETE":
                state.approvals.clear()
            else:
                state.approvals.append(self.json)
            # GitLab has them with the deployment of the job, which is made anew.
            state.gitlab_deployments[:] = [d for d in state.gitlab_deployments if "deployable" not in d]
            return 204, None
        if path == "/__jobs" and self.command == "DELETE":
            state.jobs.clear()
            state.deployments.clear()
            return 204, None
        if path == "/__jobs":
            start_job(state, self, "acme/shop", self.json)
            return 204, None
        if path == "/__merges":
            state.merges.append(self.json)
            return 204, None
        if path == "/__requests":
            state.open_requests.append(self.json)
            return 204, None
        if path == "/__files":
            state.files.append(self.json)
            return 204, None
        if path == "/__comments" and self.command == "POST":
            for _ in range(self.json["number"]):
                create_comment(state, Comment({"body": "LGTM"}), "acme/shop", 7)
            return 204, None
        if path == "/__comments" and self.command == "DELETE":
            state.comments.clear()
            state.notes.clear()
            return 204, None
        state.requests.append(f"{self.command} {path}")
        for method, pattern, handler in ROUTES:
            match = pattern.match(path)
            if match and method == self.command:
                fault = state.fault or {"times": 0}
                fails = fault["times"] > 0 and fault.get("method", method) == method and fault.get("path", "") in path
                if fails and fault.get("before"):
                    return self.fail(fault)
                try:
                    answer = handler(state, self, *map(unquote, match.groups()))
                except Refusal as refusal:
                    return refusal.status, refusal.body
                return self.fail(fault) if fails else answer
        return 404, Refusal(404, "Not Found").body

    def fail(self, fault):
        fault["times"] -= 1
        self.more_headers = fault.get("headers", {})
        return fault["status"], {"message": fault.get("message", "Server Error")}

    def answer(self, status, body):
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if body is not None:
            self.send_header("content-type", "application/json; charset=utf-8")
        for name, value in self.more_headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *arguments):
        pass


def serve(port):
    Handler.state = State()
    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8090)
    with serve(parser.parse_args().port) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
