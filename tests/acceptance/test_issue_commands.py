"""`authz issue …`: what the API does, through the API. Exit 1: it was refused, 2: wrong use; errors are one line."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from authz import cli
from authz.decision.issuing.states import Role
from tests.acceptance.authorizer import Authorizer
from tests.acceptance.counter import DEMO

DONE, REFUSED, WRONG_USE = 0, 1, 2
MARK = "not-a-token-of-ours"
GOOD = "matricule;nom;prénom;e-mail;quantité;valeur faciale\nM1;Petit;Bruno;bruno.petit@example.org;20;9,50\n"
BAD = (
    "matricule;nom;prénom;e-mail;quantité;valeur faciale\nM1;Petit;=1+1;bruno;-20;9,50\nM1;Roux;Ana;a@x.example;20;9\n"
)
Call = Callable[..., tuple[int, str, str]]


def tokens(authorizer: Authorizer) -> dict[str, str]:
    return dict(re.findall(r"demo token +role=(\w+) token=(\S+)", authorizer.errors))


@pytest.fixture
def call(shared: Callable[[], Authorizer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`call("client", "list", role="finance")`: exit code, standard output, standard error."""
    authorizer = shared()
    monkeypatch.setenv("AUTHZ_URL", f"http://127.0.0.1:{authorizer.http_port}")

    def run(*arguments: str, role: str = "issuer") -> tuple[int, str, str]:
        monkeypatch.setenv("AUTHZ_TOKEN", tokens(authorizer)[role])
        capsys.readouterr()
        code = cli.main(["issue", *arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def upload(call: Call, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Uploads a list for May as the demo's employer does."""

    def run(content: str, *options: str, name: str = "may.csv") -> tuple[int, str, str]:
        (tmp_path / name).write_text(content)
        place = ["--client", "E1", "--product", "90", "--month", "2026-05"]
        return call("order", "upload", str(tmp_path / name), *place, *options, role="employer")

    return run


def test_the_demo_tells_a_token_for_each_role(shared: Callable[[], Authorizer]) -> None:
    assert set(tokens(shared())) == set(Role)
    assert "token" not in shared().output


def test_the_demos_employers_are_clients_who_can_order(call: Call) -> None:
    code, printed, _ = call("client", "list", "--json", role="finance")
    clients = {one["id"]: one for one in json.loads(printed)}
    assert code == DONE
    assert {one.id for one in DEMO.employer} <= set(clients)
    assert [one["product"] for one in clients["E3"]["contracts"]] == ["91", "92", "93", "94", "95"]


def test_a_demo_holder_is_the_same_person_for_whoever_orders(
    call: Call, upload: Callable[..., tuple[int, str, str]]
) -> None:
    """Bruno has a card: an order for his address costs none, and is loaded on it."""
    _, printed, _ = upload(GOOD, "--json")
    order = json.loads(printed)
    assert (order["cards"], order["total"]) == (0, 19_000 + 475 + 95)
    _, printed, _ = call("order", "lines", order["id"], "--client", "E1", "--json", role="employer")
    [line] = json.loads(printed)
    _, printed, _ = call("holder", "show", line["holder"], "--json")
    assert [card["number"][-4:] for card in json.loads(printed)["cards"]] == ["0022"]


def test_a_list_with_errors_is_a_table_by_line_and_column_and_exit_1(
    upload: Callable[..., tuple[int, str, str]],
) -> None:
    code, printed, complaint = upload(BAD)
    assert code == REFUSED
    assert complaint == "authz: The list of beneficiaries can't be ordered: nothing was changed.\n"
    found = re.findall(r"^ +(\d+) +(\w+) +\S", printed, re.MULTILINE)
    assert set(found) == {("2", "email"), ("2", "first_name"), ("2", "quantity"), ("3", "number")}
    _, as_json, _ = upload(BAD, "--json")
    assert [(str(one["line"]), one["column"]) for one in json.loads(as_json)] == found


def test_the_same_key_drafts_one_order(call: Call, upload: Callable[..., tuple[int, str, str]]) -> None:
    first, again = (upload(GOOD, "--key", "once", "--json")[1] for _ in range(2))
    assert first == again
    order = json.loads(first)["id"]
    code, printed, _ = call("order", "list", "--client", "E1", "--json", role="employer")
    assert (code, [one["id"] for one in json.loads(printed)].count(order)) == (DONE, 1)


def test_watching_an_order_that_isnt_paid_is_exit_1(call: Call, upload: Callable[..., tuple[int, str, str]]) -> None:
    order = json.loads(upload(GOOD, "--json")[1])["id"]
    code, printed, complaint = call("order", "watch", order, "--client", "E1")
    assert (code, printed) == (REFUSED, "")
    assert "draft" in complaint


@pytest.mark.parametrize(
    ("arguments", "role", "code", "says"),
    [
        (["client", "show", "nobody"], "issuer", REFUSED, "no such thing"),
        (["client", "show", "E2"], "employer", REFUSED, "isn't yours"),
        (["access", "grant", "issuer"], "employer", WRONG_USE, "role"),
        (
            ["order", "upload", "list.pdf", "--client", "E1", "--product", "90", "--month", "2026-05"],
            "issuer",
            2,
            ".csv",
        ),
        (
            ["order", "upload", "none.csv", "--client", "E1", "--product", "90", "--month", "2026-05"],
            "issuer",
            2,
            "No such",
        ),
        (
            ["order", "pay", "o", "--client", "E1", "--reference", "r", "--amount", "1.234"],
            "issuer",
            WRONG_USE,
            "amount",
        ),
        (["offer", "list", "--url", "http://example.org"], "issuer", WRONG_USE, "https"),
        (["offer", "list", "--url", "http://127.0.0.1:1"], "issuer", WRONG_USE, "--url"),
        (["offer", "list", "--token-file", "none.token"], "issuer", WRONG_USE, "none.token"),
        (["offer", "sing"], "issuer", WRONG_USE, "sing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_goes_wrong_is_one_line(call: Call, arguments: list[str], role: str, code: int, says: str) -> None:
    came, printed, complaint = call(*arguments, role=role)
    assert (came, printed, complaint.count("\n")) == (code, "", 1)
    assert complaint.startswith("authz: ")
    assert says in complaint


def test_a_token_comes_from_a_file_that_only_its_owner_reads(
    call: Call, shared: Callable[[], Authorizer], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{tokens(shared())['finance']}\n")
    file.chmod(0o644)
    assert call("client", "list", "--token-file", str(file))[0] == WRONG_USE
    file.chmod(0o600)
    assert call("client", "list", "--token-file", str(file))[0] == DONE
    assert call("offer", "list", "--token-file", str(file))[0] == WRONG_USE, "it is finance's, not the issuer's"


def test_no_error_holds_the_token(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for token in (MARK, f"{MARK} {MARK}", f"{MARK}é"):
        monkeypatch.setenv("AUTHZ_TOKEN", token)
        assert cli.main(["issue", "offer", "list"]) == WRONG_USE
        assert MARK not in "".join(capsys.readouterr())
