"""tune-gain: mistakes are said before anything is trained."""

from pathlib import Path


def test_a_config_without_the_number_is_refused(text, tmp_path: Path):
    place = tmp_path / "search"
    shown = text("tune-gain", "init=constant", "--folder", str(place), status=1)
    assert "`init.gain` must be a positive number to be tuned, but the config has none" in shown
    assert "--key" in shown
    assert not place.exists()
