from collections.abc import Iterator

import pytest

from tests.chaos.cluster import Cluster, run_cluster


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The whole stack, with services of its own; each test names its work differently."""
    folder = tmp_path_factory.mktemp("cluster")
    with run_cluster(folder, seed=1) as cluster:
        yield cluster
