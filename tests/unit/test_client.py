from askonce.log import log_event
from producer.client import connect
from settings.environment import Settings


def test_client_logs_each_event_by_default():
    assert connect(Settings()).producer.listen is log_event


def test_client_passes_events_to_its_listener():
    events = []

    client = connect(Settings(), listen=events.append)
    client.producer.listen("event")

    assert ["event"] == events
