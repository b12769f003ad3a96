"""What users, operators and clients read stays as it is while modules move."""

import pytest

from nets.documents import DOCUMENTS, FOLDER
from nets.logs import difference


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_the_golden_one_to_the_byte(name: str) -> None:
    golden = (FOLDER / name).read_bytes().decode()
    if differs := difference(golden, DOCUMENTS[name](), name=name):
        pytest.fail(f"{differs}\n\nWhere the change is meant: python tests/nets renew", pytrace=False)
