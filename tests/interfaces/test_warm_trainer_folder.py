"""Where a waiting trainer's files are."""

from interfaces.folders import Home


def test_lock_outlives_the_folder(home: Home) -> None:
    place = home.warm_trainer
    assert {place.record.parent, place.inbox.parent, place.ready.parent, place.log.parent} == {place.path}
    assert place.lock.parent == place.path.parent
