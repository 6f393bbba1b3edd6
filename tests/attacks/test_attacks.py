"""Short attacks of the kinds that no other test holds: others are served meanwhile, and the service ends well."""

from pathlib import Path

import pytest

from tests.attacks.attacks import ATTACKS, Attack
from tests.attacks.measure import measure

SHORT = [attack for attack in ATTACKS if attack.connections >= 50 or not attack.reads_log]


@pytest.mark.parametrize("attack", SHORT, ids=lambda attack: attack.name)
def test_others_are_served_during_an_attack_and_the_service_ends_well(tmp_path: Path, attack: Attack) -> None:
    result = measure(attack, tmp_path, seconds=1)
    assert result.is_sound, result
    assert result.memory < 2**29
