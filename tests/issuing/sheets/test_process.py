"""A hostile file costs payments nothing: it is read apart, in bounded memory and time."""

import asyncio
import os
import sys

import pytest

from authz.issuing.sheets import process
from authz.issuing.sheets.faults import Fault, RowError, Wrong, said
from authz.issuing.sheets.media import Media
from authz.issuing.sheets.process import TooManySheets, check_apart, read_sheet
from authz.issuing.sheets.reading import UNPACKED_BYTES_MAX
from authz.issuing.sheets.rows import Row, Sheet
from tests.issuing.sheets.files import (
    HEADER,
    JAN,
    JANS_ROW,
    MARIE,
    MARIES_ROW,
    SHEET_PART,
    as_csv,
    as_xlsx,
    sheet_of,
    sheet_xml,
    with_part,
)

TEN_MEGABYTES = 10 * 1024 * 1024


def only(fault: Fault, **facts: int) -> Sheet:
    return Sheet(errors=(RowError(0, "", said(Wrong(fault, **facts))),))


async def test_both_kinds_of_file_and_rows_come_back_from_the_process() -> None:
    expected = sheet_of([MARIES_ROW, JANS_ROW])
    lines = [HEADER, MARIE, JAN]
    assert await read_sheet(as_csv(lines), "csv") == expected
    assert await read_sheet(as_xlsx(lines), "xlsx") == expected
    assert await check_apart(expected.rows) == sheet_of([MARIES_ROW, JANS_ROW], first=1)


async def test_a_list_of_many_parts_comes_back_whole() -> None:
    many = 3 * process.PART_ROWS + 7
    lines = [[f"M{one}", *MARIE[1:3], f"m{one}@societe.fr", *MARIE[4:]] for one in range(many)]
    sheet = await read_sheet(as_csv([HEADER, *lines]), "csv")
    assert [row.number for row in sheet.rows] == [line[0] for line in lines]


@pytest.mark.parametrize("media", ["csv", "xlsx", "json"])
async def test_ten_megabytes_of_garbage(media: Media) -> None:
    sheet = await read_sheet(os.urandom(TEN_MEGABYTES), media)
    assert len(sheet.errors) == 1
    assert not sheet.rows


async def test_ten_megabytes_of_garbage_that_is_text() -> None:
    """Every line is wrong: a thousand errors are listed, the others counted."""
    sheet = await read_sheet(as_csv([HEADER]) + (b"garbage " * 100 + b"\n") * (TEN_MEGABYTES // 801), "csv")
    assert len(sheet.errors) == 1_001


def bomb(declared: int) -> bytes:
    """A workbook whose sheet is 10 MB of spaces in 10 KB, and declares another size."""
    content = bytearray(with_part(as_xlsx([HEADER]), SHEET_PART, b" " * TEN_MEGABYTES))
    size = TEN_MEGABYTES.to_bytes(4, "little")
    at = content.find(size)
    while at >= 0:
        content[at : at + 4] = declared.to_bytes(4, "little")
        at = content.find(size)
    return bytes(content)


async def test_a_zip_bomb_is_refused_by_what_it_declares() -> None:
    most = UNPACKED_BYTES_MAX // 1024**2
    assert await read_sheet(bomb(UNPACKED_BYTES_MAX + 1), "xlsx") == only(Fault.UNPACKED, most=most)


async def test_a_zip_bomb_that_declares_less_gives_no_more_than_it_declares() -> None:
    assert await read_sheet(bomb(100), "xlsx") == only(Fault.UNREADABLE)


@pytest.mark.parametrize("part", [SHEET_PART, "xl/workbook.xml", "[Content_Types].xml", "xl/styles.xml"])
async def test_an_xml_bomb(part: str) -> None:
    """Billion laughs: entities of entities, 10^9 times "lol"."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    declared = f'<!DOCTYPE worksheet [<!ENTITY l0 "lol">{entities}]>'
    xml = sheet_xml('<row><c t="inlineStr"><is><t>&l9;</t></is></c></row>', declared)
    assert await read_sheet(with_part(as_xlsx([HEADER]), part, xml), "xlsx") == only(Fault.UNREADABLE)


async def test_a_file_of_another_machine_is_not_fetched() -> None:
    declared = '<!DOCTYPE worksheet [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    xml = sheet_xml('<row><c t="inlineStr"><is><t>&x;</t></is></c></row>', declared)
    assert await read_sheet(with_part(as_xlsx([HEADER]), SHEET_PART, xml), "xlsx") == only(Fault.UNREADABLE)


async def test_more_memory_than_it_may_have_ends_the_process_and_not_us(monkeypatch: pytest.MonkeyPatch) -> None:
    _replace(monkeypatch, "import resource as r; r.setrlimit(r.RLIMIT_AS, (2**29, 2**29)); bytes(2**30)")
    assert await read_sheet(as_csv([HEADER, MARIE]), "csv") == only(Fault.TANGLED)


async def test_more_time_than_it_may_take_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TIMEOUT_S", 0.05)
    _replace(monkeypatch, "import time; time.sleep(60)")
    assert await read_sheet(as_csv([HEADER, MARIE]), "csv") == only(Fault.TANGLED)


@pytest.mark.parametrize(
    "code", ["print('{')", "print('x' * 10**7)", "raise SystemExit(1)", "import os; os.abort()", ""]
)
async def test_a_process_that_fails_gives_nothing(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _replace(monkeypatch, code)
    assert await read_sheet(as_csv([HEADER, MARIE]) * 10_000, "csv") == only(Fault.TANGLED)


async def test_a_file_too_big_is_not_even_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CONTENT_BYTES_MAX", 1024**2)
    monkeypatch.setattr(process, "_read", None)
    assert await read_sheet(bytes(1024**2 + 1), "csv") == only(Fault.BIG, most=1)


async def test_only_so_many_files_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = asyncio.Event()

    async def reads(content: bytes, media: Media) -> Sheet:
        await may_end.wait()
        return Sheet()

    monkeypatch.setattr(process, "_read", reads)
    taken = [asyncio.create_task(read_sheet(b"", "csv")) for _ in range(process.PROCESSES_MAX + process.WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(TooManySheets):
        await read_sheet(b"", "csv")
    may_end.set()
    assert await asyncio.gather(*taken) == [Sheet()] * len(taken)


async def test_whoever_gives_up_takes_the_process_along(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def starts(*command: str, **options: object) -> asyncio.subprocess.Process:
        begun.append(await start(sys.executable, "-c", "import time; time.sleep(60)", **options))  # type: ignore[arg-type]
        return begun[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starts)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await read_sheet(as_csv([HEADER, MARIE]), "csv")
    assert begun[0].returncode is not None


async def test_payments_go_on_while_a_file_is_read() -> None:
    """Nothing of the reading happens here: the loop is never away for as long as a file takes."""
    lines = [[f"M{one}", *MARIE[1:3], f"m{one}@societe.fr", *MARIE[4:]] for one in range(5_000)]
    reading = asyncio.create_task(read_sheet(as_csv([HEADER, *lines]), "csv"))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert len(reading.result().rows) == len(lines)
    assert turns > len(lines) // process.PART_ROWS


def test_a_row_shows_no_person() -> None:
    row = Row("M1", MARIES_ROW.person, 1, MARIES_ROW.face)
    assert "Dupont" not in repr(Sheet((row,)))
    assert "societe" not in repr(row)


def _replace(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have another program run in the reader's place, in the same way."""
    start = asyncio.create_subprocess_exec

    async def starts(*command: str, **options: object) -> asyncio.subprocess.Process:
        return await start(sys.executable, "-c", code, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starts)
