"""Forms with files, as they are read from memory."""

import pytest

from api import multipart
from domain.errors import RequestInvalid

KIND = b'multipart/form-data; boundary="ab"'
FILE = b'--ab\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\n'
END = b"\r\n--ab--\r\n"


def field(name: int) -> bytes:
    return b'--ab\r\ncontent-disposition: form-data; name="f%d"\r\n\r\nx\r\n' % name


@pytest.mark.parametrize("begin", [b"", b"\r\n"])
def test_a_form_has_so_many_parts_and_no_more(begin: bytes) -> None:
    most = b"".join(field(number) for number in range(multipart.MAX_PARTS))
    assert len(multipart.parse(KIND, begin + most + b"--ab--\r\n").fields) == multipart.MAX_PARTS
    with pytest.raises(RequestInvalid, match="more than 128 parts"):
        multipart.parse(KIND, begin + most + field(multipart.MAX_PARTS) + b"--ab--\r\n")


@pytest.mark.parametrize("almost", [b"\r\n--abc", b"\r\n--ab\r", b"\r\n--ab-"])
def test_what_looks_like_a_boundary_again_and_again_is_refused_before_it_is_parsed(
    almost: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "MultipartParser", None)
    with pytest.raises(RequestInvalid, match="more than 128 parts"):
        multipart.parse(KIND, FILE + almost * 1000 + END)


@pytest.mark.parametrize("content", [b"\r\n" * 1000, b"\r\n--a" * 1000, b"--ab" * 1000, b"\r\n--abc"])
def test_a_file_may_have_what_is_no_boundary(content: bytes) -> None:
    form = multipart.parse(KIND, FILE + content + END)
    assert [file.content for file in form.files["file"]] == [content]
