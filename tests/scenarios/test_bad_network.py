"""Voice that is lost, late and out of order, on the operator's side and then on the PBX's: still heard, and named."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from .conftest import Stages
from .stage import ANNA, Stage

BAD = {"loss": 0.05, "jitter": 0.05}
OPERATOR = "Your network loses parts of the voice."
PBX = "Parts of the voice are lost between us and the telephone system."


def assert_the_store_tells(stage: Stage) -> None:
    """Good at first; then by 5 % of loss as much worse as ITU-T G.107 says for PCMU, with the side that was to blame."""
    with closing(sqlite3.connect(stage.state_dir / "bridge.db")) as database:
        ((text,),) = database.execute("SELECT verdicts FROM calls").fetchall()
    verdicts = [(min(heard, said), trouble) for _, heard, said, trouble in json.loads(text)]
    assert verdicts[0][0] >= 4.0
    assert {"operator-loss", "pbx-loss"} <= {trouble for _, trouble in verdicts}
    assert 2.8 < min(score for score, _ in verdicts) < 4.0


async def test_a_bad_network_on_either_side_is_heard_through_and_named_on_the_phone_page(stages: Stages) -> None:
    stage = await stages(router=True, pbx_way=True)
    assert stage.router is not None
    assert stage.to_pbx is not None
    page = await stage.sign_in(ANNA)
    call = stage.ring(then="bridged")
    await stage.answer(page)
    await stage.talking(page, call)
    await stage.says(page, "Voice: good", 30)

    stage.router.way.worsen(**BAD)
    await stage.says(page, OPERATOR, 30)
    await stage.talking(page, call)
    stage.router.way.worsen(loss=0, jitter=0)

    stage.to_pbx.way.worsen(**BAD)
    await stage.says(page, PBX, 30)
    await stage.talking(page, call)
    call.hang_up()
    assert (await stage.record()).status_code == "200"
    assert_the_store_tells(stage)
    assert all(faults.lost for way in (stage.router.way, stage.to_pbx.way) for faults in (way.there, way.back))
