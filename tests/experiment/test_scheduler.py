"""The address of a scheduler, and certificates."""

import pytest

from gradscope.experiment import Scheduler


def test_without_certificates_dask_decides():
    assert not Scheduler("tcp://host:8786").has_certificates


@pytest.mark.parametrize("given", ["ca_file", "cert", "key"])
def test_any_of_them_is_one(given):
    assert Scheduler("tls://host:8786", **{given: "file.pem"}).has_certificates
