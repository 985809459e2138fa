"""One small model for all export tests."""

import pytest
from export_cases import save_model


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("exported") / "model")
