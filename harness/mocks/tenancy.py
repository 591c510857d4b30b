"""Tenancies: how many tests share one mirror without seeing each other.

A tenant is a token such as `tn0badcafe` that a test puts into its run ids or DAG ids. `DEFAULT`, the empty text,
is everybody without one.
"""

import re
import secrets

TOKEN = re.compile(r"tn[0-9a-f]{8}")
DEFAULT = ""
HEADER = "X-Itest-Tenant"
"""Chooses the tenancy of a request to the control API."""


def new_tenant() -> str:
    """A token that nobody has used."""
    return f"tn{secrets.token_hex(4)}"


def tenant_of(*texts: str) -> str:
    """The first token in the first text that has one, else `DEFAULT`."""
    for text in texts:
        found = TOKEN.search(text)
        if found:
            return found[0]
    return DEFAULT


def is_tenant(text: str) -> bool:
    """Whether `text` is a token and nothing else."""
    return TOKEN.fullmatch(text) is not None
