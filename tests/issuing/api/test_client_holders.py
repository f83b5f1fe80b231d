"""What an employer sees of its holders: their cards, and what it loaded itself (R3262-1-2 is for holders alone)."""

import time
from typing import Any

from tests.issuing.api.office import POLL_S, POLLS, Office, lines, person


def ordered(office: Office, client: str, who: dict[str, str], quantity: int) -> str:
    """Order for one person, and pay; give the holder once it is carried out."""
    order = office.draft(client, lines(who, quantity=quantity)).json()
    path = f"/v1/clients/{client}/orders/{order['id']}"
    office.made(f"{path}/confirmation", {"revision": order["revision"]})
    office.made(f"{path}/payment", {"reference": "VIR 1", "amount": order["total"]})
    for _ in range(POLLS):
        if office.get(path).json()["order"]["status"] == "done":
            return str(office.get(f"{path}/lines").json()["items"][0]["holder"])
        time.sleep(POLL_S)
    raise AssertionError("the order isn't carried out")


def test_one_card_serves_two_employers_and_each_sees_its_own_loads(office: Office) -> None:
    who, clients = person(), [office.new_client(), office.new_client()]
    first, second = (ordered(office, client, who, quantity) for client, quantity in zip(clients, (10, 3), strict=True))
    assert first == second, "one person"
    seen: list[Any] = []
    for client in clients:
        employer, path = office.with_token("employer", client), f"/v1/clients/{client}/holders/{first}"
        [card] = employer.get(path).json()["cards"]
        seen.append(card)
        loads = employer.get(f"{path}/loads").json()
        seen.append([one["amount"] for one in loads["operations"]])
        assert loads["next"] is None
    card, loaded, same, other = seen
    assert card == same
    assert (loaded, other) == ([9_000], [2_700])
    assert set(card) == {"card", "last4", "status", "expiry", "locked"}
    assert (len(card["last4"]), card["status"], card["expiry"]) == (4, "inactive", "2030-05-01")
    [balance] = office.get(f"/v1/holders/{first}").json()["balances"]
    assert balance["available"] == 11_700, "which the holder alone sees"


def test_an_employer_asks_for_the_card_that_it_sees(office: Office) -> None:
    client = office.new_client()
    holder = ordered(office, client, person(), 10)
    employer, path = office.with_token("employer", client), f"/v1/clients/{client}"
    [card] = employer.get(f"{path}/holders/{holder}").json()["cards"]
    made = employer.made(f"{path}/requests", {"holder": holder, "card": card["card"], "kind": "remake"})
    cards = employer.get(f"{path}/holders/{holder}").json()["cards"]
    assert [one["card"] for one in cards] == [card["card"], made["new"]]
