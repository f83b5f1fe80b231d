"""What the ISO 20022 schemas ask of the messages here: each element's children in their order, and each leaf's form.

Only what these messages use: a child that isn't listed is one too many.
"""

import re
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

MAX35, MAX70, MAX140 = (rf"[\s\S]{{1,{most}}}" for most in (35, 70, 140))
AMOUNT = r"(?=.{1,19}$)\d{1,18}(\.\d{1,5})?"
NUMBER = r"[0-9]{1,15}"
DAY = r"\d{4}-\d\d-\d\d"
INSTANT = rf"{DAY}T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"
IBAN = r"[A-Z]{2}[0-9]{2}[a-zA-Z0-9]{1,30}"
BIC = r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?"
SIDE = "CRDT|DBIT"

Rules = Mapping[str, str]
"""By a path's last two names, or its last one: its children with ?, * or + behind them, or its form behind an =."""

PAIN_001_001_09: Rules = {
    "Document": "CstmrCdtTrfInitn",
    "CstmrCdtTrfInitn": "GrpHdr PmtInf+",
    "GrpHdr": "MsgId CreDtTm NbOfTxs CtrlSum? InitgPty",
    "InitgPty": "Nm?",
    "PmtInf": "PmtInfId PmtMtd BtchBookg? NbOfTxs? CtrlSum? PmtTpInf? ReqdExctnDt Dbtr DbtrAcct DbtrAgt ChrgBr?"
    " CdtTrfTxInf+",
    "PmtTpInf": "SvcLvl*",
    "SvcLvl": "Cd",
    "SvcLvl/Cd": "=[A-Z]{1,4}",
    "ReqdExctnDt": "Dt",
    "Dt": f"={DAY}",
    "Dbtr": "Nm?",
    "Cdtr": "Nm?",
    "DbtrAcct": "Id",
    "CdtrAcct": "Id",
    "Id": "IBAN",
    "IBAN": f"={IBAN}",
    "DbtrAgt": "FinInstnId",
    "FinInstnId": "BICFI? Othr?",
    "BICFI": f"={BIC}",
    "Othr": "Id",
    "Othr/Id": f"={MAX35}",
    "CdtTrfTxInf": "PmtId Amt Cdtr? CdtrAcct? RmtInf?",
    "PmtId": "InstrId? EndToEndId",
    "Amt": "InstdAmt",
    "InstdAmt": f"={AMOUNT}",
    "RmtInf": "Ustrd*",
    "Ustrd": f"={MAX140}",
    "MsgId": f"={MAX35}",
    "PmtInfId": f"={MAX35}",
    "EndToEndId": f"={MAX35}",
    "CreDtTm": f"={INSTANT}",
    "NbOfTxs": f"={NUMBER}",
    "CtrlSum": f"={AMOUNT}",
    "PmtMtd": "=TRF|CHK|TRA",
    "BtchBookg": "=true|false",
    "ChrgBr": "=SLEV|SHAR|DEBT|CRED",
    "Nm": f"={MAX140}",
}

CAMT_053: Rules = {
    "Document": "BkToCstmrStmt",
    "BkToCstmrStmt": "GrpHdr Stmt+",
    "GrpHdr": "MsgId CreDtTm MsgPgntn?",
    "MsgPgntn": "PgNb LastPgInd",
    "PgNb": "=[0-9]{1,5}",
    "LastPgInd": "=true|false",
    "MsgId": f"={MAX35}",
    "CreDtTm": f"={INSTANT}",
    "Stmt": "Id ElctrncSeqNb? CreDtTm? Acct Bal+ TxsSummry? Ntry*",
    "Stmt/Id": f"={MAX35}",
    "ElctrncSeqNb": "=[0-9]{1,18}",
    "Acct": "Id Ccy?",
    "Id": "IBAN",
    "IBAN": f"={IBAN}",
    "Ccy": "=[A-Z]{3}",
    "Bal": "Tp Amt CdtDbtInd Dt",
    "Tp": "CdOrPrtry",
    "CdOrPrtry": "Cd",
    "CdOrPrtry/Cd": "=[A-Z]{1,4}",
    "Amt": f"={AMOUNT}",
    "CdtDbtInd": f"={SIDE}",
    "Bal/Dt": "Dt",
    "Dt": f"={DAY}",
    "TxsSummry": "TtlNtries? TtlCdtNtries? TtlDbtNtries?",
    "TtlNtries": "NbOfNtries? Sum?",
    "TtlCdtNtries": "NbOfNtries? Sum?",
    "TtlDbtNtries": "NbOfNtries? Sum?",
    "NbOfNtries": f"={NUMBER}",
    "Sum": f"={AMOUNT}",
    "Ntry": "Amt CdtDbtInd RvslInd? Sts BookgDt? ValDt? AcctSvcrRef? BkTxCd NtryDtls*",
    "RvslInd": "=true|false",
    "BookgDt": "Dt",
    "ValDt": "Dt",
    "AcctSvcrRef": f"={MAX35}",
    "BkTxCd": "Domn?",
    "Domn": "Cd Fmly",
    "Fmly": "Cd SubFmlyCd",
    "Cd": "=[A-Z]{1,4}",
    "SubFmlyCd": "=[A-Z]{1,4}",
    "NtryDtls": "Btch? TxDtls*",
    "Btch": "NbOfTxs?",
    "NbOfTxs": f"={NUMBER}",
    "Refs": "EndToEndId?",
    "EndToEndId": f"={MAX35}",
    "AmtDtls": "TxAmt?",
    "TxAmt": "Amt",
    "RltdPties": "Dbtr? DbtrAcct? Cdtr? CdtrAcct?",
    "DbtrAcct": "Id",
    "CdtrAcct": "Id",
    "Nm": f"={MAX140}",
    "RmtInf": "Ustrd* Strd*",
    "Ustrd": f"={MAX140}",
    "Strd": "CdtrRefInf?",
    "CdtrRefInf": "Ref?",
    "Ref": f"={MAX35}",
}

CAMT_053_02: Rules = CAMT_053 | {
    "Sts": "=BOOK|PDNG|INFO",
    "TxDtls": "Refs? AmtDtls? RltdPties? RmtInf?",
    "Dbtr": "Nm?",
    "Cdtr": "Nm?",
}
CAMT_053_04: Rules = CAMT_053_02 | {"TxDtls": "Refs? Amt CdtDbtInd RltdPties? RmtInf?"}
CAMT_053_08: Rules = CAMT_053 | {
    "Sts": "Cd",
    "TxDtls": "Refs? Amt? CdtDbtInd? RltdPties? RmtInf?",
    "Dbtr": "Pty",
    "Cdtr": "Pty",
    "Pty": "Nm?",
}


def camt_053(version: int) -> Rules:
    """The rules of a version of camt.053."""
    if version >= 8:
        return CAMT_053_08
    return CAMT_053_04 if version >= 4 else CAMT_053_02


def broken(text: bytes | str, namespace: str, rules: Rules) -> Sequence[str]:
    """List what breaks the rules, as paths."""
    root = fromstring(text)
    if root.tag != f"{{{namespace}}}Document":
        return [root.tag]
    return list(_broken(root, "Document", f"{{{namespace}}}", rules))


def _broken(element: Element, path: str, namespace: str, rules: Rules) -> Sequence[str]:
    names = path.split("/")
    rule = rules.get("/".join(names[-2:])) or rules.get(names[-1])
    if rule is None:
        return [f"{path}: unknown"]
    if rule.startswith("="):
        wrong = len(element) or not re.fullmatch(rule[1:], element.text or "")
        return [f"{path}: {element.text}"] if wrong else []
    children = [child.tag.removeprefix(namespace) for child in element]
    order = "".join(f"(?:{name.rstrip('?*+')} ){name[-1] if name[-1] in '?*+' else ''}" for name in rule.split())
    found = [] if re.fullmatch(order, "".join(f"{name} " for name in children)) else [f"{path}: {children}"]
    for name, child in zip(children, element, strict=True):
        found += _broken(child, f"{path}/{name}", namespace, rules)
    return found
