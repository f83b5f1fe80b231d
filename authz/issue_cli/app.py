"""The commands `authz issue …`, put together. They are imported when one of them is asked for."""

from cyclopts import App

from authz.issue_cli.access import access
from authz.issue_cli.adjustments import adjustment
from authz.issue_cli.clients import agent, client
from authz.issue_cli.holders import holder, requests
from authz.issue_cli.merchants import merchant
from authz.issue_cli.offers import offer
from authz.issue_cli.orders import order
from authz.issue_cli.portfolio import portfolio
from authz.issue_cli.runs import run

issue = App(
    name="issue", help="Issuing, through the API of an authorizer that runs: from an order to a card that pays."
)
for room in (offer, client, agent, order, requests, holder, run, merchant, portfolio, adjustment, access):
    issue.command(room)
