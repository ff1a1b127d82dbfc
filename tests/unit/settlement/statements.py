"""Bank statements as a bank writes them, for tests."""

from dataclasses import dataclass

HEADER = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">
<BkToCstmrStmt>
<GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-06-01T20:00:00Z</CreDtTm></GrpHdr>
<Stmt>
"""
FOOTER = "</Stmt>\n</BkToCstmrStmt>\n</Document>\n"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry; `amount` in yuan as the bank writes it."""

    reference: str
    amount: str
    is_credit: bool = True
    end_to_end_id: str = ""
    creditor_reference: str = ""
    remittance: str = ""
    is_return: bool = False

    def xml(self) -> str:
        details = ""
        if self.end_to_end_id:
            details += f"<Refs><EndToEndId>{self.end_to_end_id}</EndToEndId></Refs>"
        if self.remittance:
            details += f"<RmtInf><Ustrd>{self.remittance}</Ustrd></RmtInf>"
        if self.creditor_reference:
            details += (
                "<RmtInf><Strd><CdtrRefInf>"
                f"<Ref>{self.creditor_reference}</Ref></CdtrRefInf></Strd></RmtInf>"
            )
        if self.is_return:
            details += "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"
        return (
            f'<Ntry><Amt Ccy="CNY">{self.amount}</Amt>\n'
            f"<CdtDbtInd>{'CRDT' if self.is_credit else 'DBIT'}</CdtDbtInd>\n"
            "<Sts><Cd>BOOK</Cd></Sts>\n<BookgDt><Dt>2026-06-01</Dt></BookgDt>\n"
            f"<AcctSvcrRef>{self.reference}</AcctSvcrRef>\n"
            f"<NtryDtls><TxDtls>{details}</TxDtls></NtryDtls></Ntry>\n"
        )


def fen(amount: str) -> int:
    units, _, hundredths = amount.partition(".")
    return int(units) * 100 + int(hundredths.ljust(2, "0") or 0)


def statement(account: str, *lines: Line, name: str = "S1", opening_fen: int = 1_000_000) -> str:
    """Return a statement whose totals add up."""
    moved = sum(fen(line.amount) * (1 if line.is_credit else -1) for line in lines)
    closing_fen = opening_fen + moved
    total = sum(fen(line.amount) for line in lines)
    return (
        HEADER
        + f"<Id>{name}</Id>\n<Acct><Id><Othr><Id>{account}</Id></Othr></Id></Acct>\n"
        + _balance("OPBD", opening_fen)
        + _balance("CLBD", closing_fen)
        + f"<TxsSummry><TtlNtries><NbOfNtries>{len(lines)}</NbOfNtries>"
        + f"<Sum>{total // 100}.{total % 100:02d}</Sum></TtlNtries></TxsSummry>\n"
        + "".join(line.xml() for line in lines)
        + FOOTER
    )


def _balance(code: str, amount_fen: int) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="CNY">{abs(amount_fen) // 100}.{abs(amount_fen) % 100:02d}</Amt>'
        f"<CdtDbtInd>{'CRDT' if amount_fen >= 0 else 'DBIT'}</CdtDbtInd></Bal>\n"
    )
