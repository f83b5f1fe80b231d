"""`authz issue portfolio take-over`: a file of holders, a line each."""

import json
from pathlib import Path

import pytest

from authz import cli
from authz.issue_cli import portfolio
from authz.service import Service
from tests.issuing.api.office import ISSUER_TOKEN
from tests.issuing.api.test_portfolio import LINK, holder, new_pan

OPTIONS = ("--programme", "apetiz", "--link", LINK)


@pytest.fixture
def issuer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHZ_TOKEN", ISSUER_TOKEN)
    monkeypatch.setenv("AUTHZ_URL", f"http://127.0.0.1:{service.http_port}")


@pytest.mark.usefixtures("issuer")
def test_a_file_is_taken_over_chunk_by_chunk_and_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portfolio, "HOLDERS_MAX", 2)
    file = tmp_path / "holders.jsonl"
    file.write_text("\n".join(json.dumps(holder()) for _ in range(5)) + "\n\n")
    for _ in range(2):
        assert cli.main(["issue", "portfolio", "take-over", str(file), *OPTIONS, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"taken_over": 5, "refused": []}


@pytest.mark.usefixtures("issuer")
def test_who_is_refused_is_told_by_their_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "holders.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in (holder(), holder(employer="nobody"))))
    assert cli.main(["issue", "portfolio", "take-over", str(file), *OPTIONS, "--json"]) == 1
    said = capsys.readouterr()
    assert [one["line"] for one in json.loads(said.out)] == [2]
    assert "1 holders were taken over, 1 were refused" in said.err


@pytest.mark.usefixtures("issuer")
def test_what_cant_be_read_is_told_by_its_line_without_its_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, pan = tmp_path / "holders.jsonl", new_pan()
    for line in ("{", json.dumps(holder() | {pan: 1}), json.dumps(holder(cards=[{"pan": pan}]))):
        file.write_text(f"{json.dumps(holder())}\n{line}\n")
        assert cli.main(["issue", "portfolio", "take-over", str(file), *OPTIONS]) == 2
        said = capsys.readouterr().err
        assert "line 2" in said
        assert pan not in said
    assert cli.main(["issue", "portfolio", "take-over", str(tmp_path / "nothing"), *OPTIONS]) == 2
