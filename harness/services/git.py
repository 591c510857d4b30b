"""The git origin that the pods' syncers pull content from, over smart HTTP with a token."""

from __future__ import annotations

from harness.topology import Healthcheck, Service

NAME = "git-origin"
PORT = 80
USER = "syncer"
REPOSITORY = "content.git"
SOURCE_URL = f"http://{USER}:${{ITEST_GIT_TOKEN}}@{NAME}/{REPOSITORY}"


def git_origin() -> Service:
    ask = f"git ls-remote http://{USER}:$GIT_TOKEN@127.0.0.1/{REPOSITORY} >/dev/null"
    return Service(
        name=NAME,
        image="git-origin",
        memory=256,
        environment={"GIT_TOKEN": "${ITEST_GIT_TOKEN}"},
        healthcheck=Healthcheck(("sh", "-c", ask), "server started"),
        forwarded_ports=(PORT,),
    )


def syncer_environment(interval: int = 300) -> dict[str, str]:
    """The production settings of a pod's syncers; `interval` is in seconds."""
    return {
        "CONTENT_SYNCER_GIT_REPO_SOURCE": SOURCE_URL,
        "CONTENT_SYNCER_GIT_REPO_BRANCH": "main",
        "CONTENT_SYNCER_INTERVAL": str(interval),
    }
