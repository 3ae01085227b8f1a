from __future__ import annotations

from bridge.operators.typescript import TARGET, render


def test_the_page_speaks_the_protocol_of_the_bridge() -> None:
    assert TARGET.read_text(encoding="utf-8") == render(), "run: python -m bridge.operators.typescript"


def test_names_are_camel_case_and_enumerations_unions_of_strings() -> None:
    text = render()
    assert "  pbxHolds: boolean;\n" in text
    assert "  talkSeconds: number | null;\n" in text
    assert '  notice: "" | VoiceFailure;\n' in text
    assert 'export type PageKind = "worker" | "phone";\n' in text
    assert "  hangUp: CallCommand;\n" in text
