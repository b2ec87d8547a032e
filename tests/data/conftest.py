import uuid

import pytest
from s3 import bucket_served


@pytest.fixture(scope="module")
def served():
    """An S3 server for the tests of one module."""
    with bucket_served() as bucket:
        yield bucket


@pytest.fixture
def bucket(served):
    """An empty bucket."""
    return served.another(f"letters-{uuid.uuid4().hex[:12]}")
