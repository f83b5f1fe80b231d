"""The commands `authz issue …`: issuing, through the HTTP API and nothing else (docs/issuing.md).

Exit 0: done, 1: the API refused it, or found errors in a list, 2: wrong use, or no API is reached.
"""

from cyclopts import App

from authz.issue_cli.access import access
from authz.issue_cli.api import NotAsked, NotDone
from authz.issue_cli.clients import agent, client
from authz.issue_cli.holders import holder, requests
from authz.issue_cli.merchants import merchant
from authz.issue_cli.offers import offer
from authz.issue_cli.orders import order
from authz.issue_cli.runs import run
from authz.issue_cli.showing import show_faults

__all__ = ["NotAsked", "NotDone", "issue", "show_faults"]

issue = App(
    name="issue", help="Issuing, through the API of an authorizer that runs: from an order to a card that pays."
)
for room in (offer, client, agent, order, requests, holder, run, merchant, access):
    issue.command(room)
