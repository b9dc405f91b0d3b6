"""Settings that all tests share."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "memonger",
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("memonger")
